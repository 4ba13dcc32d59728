"""Unit, contract, integration, fault, browser tests and benchmarks."""
