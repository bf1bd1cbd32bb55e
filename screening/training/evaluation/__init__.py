"""Measure a release, or any model's answers, on photos that it has not learnt from: one report, one JSON."""
