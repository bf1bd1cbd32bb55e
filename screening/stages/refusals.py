"""What to tell the uploader of a file that never became a photo: advice for each reason, in plain words.

The advice for photos that were decoded stands with the quality filters.
"""

ADVICE = {
    "empty_file": "The file is empty. Please upload the photo again.",
    "too_many_bytes": "The file is too large. Please upload the photo as your phone saves it, as JPEG.",
    "too_many_pixels": "The picture has too many pixels. Please upload the photo as your phone saves it, as JPEG.",
    "not_an_accepted_format": "The file is not a photo that can be read. Please upload JPEG, PNG, WebP or HEIC.",
    "animated": "The file is an animation. Please upload one still photo.",
    "truncated": "The file is cut off, perhaps by a broken upload. Please upload the photo again.",
    "undecodable": "The file is damaged. Please upload the photo again.",
    "unreadable_file": "The entry is no file that can be read. Please put the photo itself there.",
    "deleted_before_fetch": "The photo was removed before it could be read. Please upload it again.",
    "changed_before_fetch": "The photo was replaced while the night was running. The new one is graded in the next night.",
    "misplaced": "The file lies outside uploads/<programme>/<yyyy-mm-dd>/. Please upload it there.",
}
NOT_GRADED_ADVICE = "The photo could not be judged. Please ask the programme's support, and have a clinician look at the lesion meanwhile."
"""For a photo that failed on our side: it must never read as good news."""


def advice_for(reason: str) -> str:
    """Advice for a reason; for one without its own text, that nothing can be said of the lesion."""
    return ADVICE.get(reason, NOT_GRADED_ADVICE)
