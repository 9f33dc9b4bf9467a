"""The client of the store by its public name: `from nearmetal.client import Client`."""

from nearmetal.kv.client import BadReplyError, Client, ClientError, NoAnswerError, Value

__all__ = ["BadReplyError", "Client", "ClientError", "NoAnswerError", "Value"]
