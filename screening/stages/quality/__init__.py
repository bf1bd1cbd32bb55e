"""Quality of one photo: what can be seen in it (``measure``), what that means (``judge``), what to do (``messages``)."""

from screening.stages.quality.judge import QualityVerdict, judge_quality
from screening.stages.quality.measure import QualityMeasures, measure_quality

__all__ = ["QualityMeasures", "QualityVerdict", "judge_quality", "measure_quality"]
