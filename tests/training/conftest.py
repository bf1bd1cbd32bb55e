import torch

# On a machine with other work, two threads mostly wait for each other.
torch.set_num_threads(1)
