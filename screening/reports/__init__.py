"""The pages and files that people open in the morning."""
