"""Training of what the quality filters learnt: regions (lesion, skin, ink, hair), blur and framing."""
