"""The two buckets of the object store, and who may do what in them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.local.credentials import Credentials
from infra.local.errors import NotReadyError, StackError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

OWNER, PIPELINE = "uploads", "pipeline"
UPLOADS_BUCKET, RESULTS_BUCKET = "screening-uploads", "screening-results"
REGION = "us-east-1"

_MAY_READ = ["s3:ListBucket", "s3:GetBucketLocation", "s3:GetObject", "s3:GetObjectVersion"]
_MAY_WRITE = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
RIGHTS = {
    # What programmes uploaded is evidence: a faulty night must not be able to change or remove it.
    UPLOADS_BUCKET: {PIPELINE: _MAY_READ},
    # The pipeline's objects are its own; the owner of a bucket may not read them unless the bucket says so.
    RESULTS_BUCKET: {PIPELINE: [*_MAY_READ, *_MAY_WRITE, "s3:ListBucketMultipartUploads"], OWNER: _MAY_READ},
}
"""By bucket and user."""


def connect(endpoint: str, access_key: str, secret_key: str) -> S3Client:
    """A client that answers soon rather than surely: whoever waits for the store asks again."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name=REGION,
        config=Config(
            s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20
        ),
    )


def check_signed_request(endpoint: str, credentials: Credentials) -> None:
    """The store accepts the owner's signature.

    Raises:
        NotReadyError: it does not answer, or refuses.
    """
    try:
        connect(endpoint, credentials.uploads_access_key, credentials.uploads_secret_key).list_buckets()
    except (BotoCoreError, ClientError) as error:
        raise NotReadyError(f"signed request to {endpoint}: {error}") from error


def make_buckets(endpoint: str, credentials: Credentials) -> None:
    """Make both buckets and give the users their rights; what is there stays.

    Raises:
        StackError: the store refused.
    """
    store = connect(endpoint, credentials.uploads_access_key, credentials.uploads_secret_key)
    try:
        present = {bucket["Name"] for bucket in store.list_buckets()["Buckets"]}
        for bucket, rights in RIGHTS.items():
            if bucket not in present:
                store.create_bucket(Bucket=bucket)
            store.put_bucket_policy(Bucket=bucket, Policy=json.dumps(_policy(bucket, rights)))
    except (BotoCoreError, ClientError) as error:
        raise StackError(f"making the buckets at {endpoint}: {error}") from error


def _policy(bucket: str, rights: dict[str, list[str]]) -> dict[str, object]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": [f"arn:aws:iam:::user/{user}"]},
                "Action": actions,
                "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
            }
            for user, actions in rights.items()
        ],
    }
