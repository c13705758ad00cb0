"""The ASGI edge: the only room that knows Starlette. Requests in, transcriptions opened, answers out."""
