"""PAD-UFES-20 as a programme would upload it: one folder of links with a manifest.csv.

``python -m tests.benchmarks.pad_ufes_night DATA OUT``; DATA holds the folders pad_ufes and pad_ufes_fullsize, each with
labels.csv and images/. Then ``make demo PHOTOS=OUT``.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

COLUMNS = ("file", "patient_id", "lesion_id", "body_site", "age_years", "sex", "fitzpatrick")


def main(data: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with (out / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        for source in ("pad_ufes", "pad_ufes_fullsize"):
            with (data / source / "labels.csv").open(newline="") as labels:
                for row in csv.DictReader(labels):
                    name = f"{source}/{row['file']}"
                    link = out / name
                    link.parent.mkdir(exist_ok=True)
                    link.unlink(missing_ok=True)
                    link.symlink_to((data / source / "images" / row["file"]).resolve())
                    writer.writerow(
                        {
                            "file": name,
                            "patient_id": row["patient_id"],
                            "lesion_id": row["lesion_id"],
                            "body_site": row["region"].lower(),
                            "age_years": row["age"],
                            "sex": row["gender"].lower(),
                            "fitzpatrick": row["fitspatrick"],
                        }
                    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
