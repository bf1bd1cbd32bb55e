"""The local stack: Ceph RGW, Triton, PostgreSQL and Airflow as processes of one supervisor, without Docker.

``python -m infra.local up`` starts it, ``down`` stops it, and all state is in one folder (``.local/``).
"""
