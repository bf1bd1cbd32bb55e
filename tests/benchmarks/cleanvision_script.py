"""Seconds that CleanVision takes for a folder of photos: all its checks, in as many processes as it chooses, one per core.

``python -m tests.benchmarks.cleanvision_script FOLDER``; imports are not counted.
"""

from __future__ import annotations

import sys
import time

from cleanvision import Imagelab

if __name__ == "__main__":
    started = time.monotonic()
    Imagelab(data_path=sys.argv[1], verbose=False).find_issues(verbose=False)
    print(time.monotonic() - started)
