"""The physics. Each module is one system: how its data come about, which model of which family
describes them, which priors are fair, and the figures that answer its question.

A system is found by its file name; nothing else lists it.
"""
