"""The routes to a posterior that need a log density and nothing else."""
