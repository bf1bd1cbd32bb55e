"""Whether the answer follows the lesion, or what lies beside it: ink, hair, rulers, borders, the kind of photo."""
