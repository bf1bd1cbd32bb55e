"""Quality of one photo: what can be seen in it (``measure``), what that means (``judge``), what to do (``messages``).

``duplicates`` knows a picture again: it hashes one photo, and compares hashes.
"""

from screening.stages.quality.duplicates import perceptual_hash
from screening.stages.quality.judge import QualityVerdict, judge_quality
from screening.stages.quality.measure import QualityMeasures, measure_quality

__all__ = ["QualityMeasures", "QualityVerdict", "judge_quality", "measure_quality", "perceptual_hash"]
