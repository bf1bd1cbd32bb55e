"""How well the quality filters see what is wrong with a photo, and leave alone what is not: ``make bench-quality``."""
