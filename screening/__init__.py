"""Skin Screening: nightly grading of skin-lesion photos, referral, and the loop back into training."""

__version__ = "0.1.0"
