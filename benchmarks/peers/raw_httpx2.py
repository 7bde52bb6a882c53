"""Calls httpx2, which has the same names as httpx."""

from __future__ import annotations

import functools

import httpx2

from benchmarks.peers.raw_httpx import connect as connect_with


connect = functools.partial(connect_with, library=httpx2)
