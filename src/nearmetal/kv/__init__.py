"""The store in plain Python: an executable specification, a server, a client and a test corpus.

model.py protocol.py admission.py       the executable specification
server.py served.py server_options.py   a service behind a socket: the rung host-py
client.py                               a small synchronous client
corpus/                                 requests whose replies are known
"""
