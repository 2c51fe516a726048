"""The families of models. Each is a likelihood and its priors, defined once in PyMC, with the
routes to the posterior that only this family allows."""
