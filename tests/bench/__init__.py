"""Benchmarks beside plain alternatives; run them with `make bench`."""
