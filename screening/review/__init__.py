"""The pages on which clinicians vet the night's photos, and stewards see how far they are: an Airflow plugin."""
