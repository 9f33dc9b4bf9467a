"""The store in plain Python: what the service does, a client, and the questions it must answer.

model.py protocol.py admission.py   the executable specification, and what it is made of
server.py server_options.py         the model behind a socket: the rung host-py
client.py                           a small synchronous client
corpus/                             requests whose replies are known
"""
