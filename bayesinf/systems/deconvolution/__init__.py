"""A signal behind a blur: what was it, and how much of it do the data decide?"""
