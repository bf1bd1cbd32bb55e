from hypothesis import settings

# The same examples each time, and no deadline: a busy machine is no bug.
settings.register_profile("screening", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("screening")
