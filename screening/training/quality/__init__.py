"""Training of the two networks of the quality filters: regions (lesion, skin, ink, hair) and blur."""
