"""Hypothesis without its deadline: machines that run these tests differ in speed."""

from hypothesis import settings

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
