"""Several machines: one serves, one or more generate load, and this one only controls them.

provider.py  contract of a back end: acquire, facts, deploy, run, fetch, release
local.py enos.py   the back ends; engine/ holds EnOSlib's part, in an environment of its own
spec.py      the machines of a testbed, and their provider
agent.py lease.py  the agent on each machine; it ends by itself without a controller
remote_agent.py   an agent, as the controller sees it
trial.py flow.py   the flow of a bench, over several machines
rehearsal.py sshd.py     `rehearse`: machines made of network namespaces
"""
