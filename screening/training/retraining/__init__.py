"""The steps of a retraining, each on one run folder: snapshot, check, split, fit, assemble, evaluate, gate.

Every step may be run again: what is finished is kept, what was cut off is done anew or taken up where it ended.
"""
