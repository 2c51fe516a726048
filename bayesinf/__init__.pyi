"""What ``bayesinf`` offers, for editors and type checkers."""

from bayesinf import calibration as calibration
from bayesinf import checks as checks
from bayesinf import data as data
from bayesinf import figures as figures
from bayesinf import forecasts as forecasts
from bayesinf import priors as priors
from bayesinf import report as report
from bayesinf import systems as systems
from bayesinf.audits import audit as audit
from bayesinf.calibration import calibrate as calibrate
from bayesinf.checks import Verdict as Verdict
from bayesinf.checks import check as check
from bayesinf.errors import BayesinfError as BayesinfError
from bayesinf.errors import CheckFailed as CheckFailed
from bayesinf.errors import DataError as DataError
from bayesinf.errors import FitError as FitError
from bayesinf.errors import MachineError as MachineError
from bayesinf.models import binary as binary
from bayesinf.models import curve as curve
from bayesinf.models import density as density
from bayesinf.models import gp as gp
from bayesinf.models import linear as linear
from bayesinf.models.binary import logistic as logistic
from bayesinf.models.binary import pairwise as pairwise
from bayesinf.models.density import fit as fit
from bayesinf.posterior import load as load
from bayesinf.posterior import save as save
from bayesinf.report import Summary as Summary
from bayesinf.report import summary as summary
from bayesinf.settings import DEFAULT as DEFAULT
from bayesinf.settings import QUICK as QUICK
from bayesinf.settings import Settings as Settings
from bayesinf.workflow import retell as retell
from bayesinf.workflow import write_report as write_report

__version__: str
