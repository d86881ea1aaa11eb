"""The fixtures of worlds that are collected."""

from collections_at_work import world  # noqa: F401
