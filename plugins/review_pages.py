"""Airflow's plugins folder: the review pages."""

from screening.review.plugin import ReviewPages

__all__ = ["ReviewPages"]
