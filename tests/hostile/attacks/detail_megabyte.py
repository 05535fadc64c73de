"""A lone object with a detail of a megabyte of terminal controls and markup."""

from tests.hostile.attack import SSE, Attack, ends

ATTACK = Attack(ends("error_event"), SSE + b'data: {"detail":"' + b"\\u001b[31m<script>" * 60_000 + b'"}\n\n')
