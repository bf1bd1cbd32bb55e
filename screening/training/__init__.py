"""Build, measure and release an ensemble. Needs the extra ``training`` (torch); the nightly run does not."""
