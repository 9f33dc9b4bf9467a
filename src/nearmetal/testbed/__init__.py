"""Several machines: one serves, one or more generate, and this one only steers.

provider.py  what a back end does: acquire, facts, deploy, run, fetch, release
local.py enos.py   the back ends; engine/ is EnOSlib's, in an environment of its own
spec.py      which machines, by which provider
agent.py lease.py  what runs on each machine, and ends by itself when nobody steers it
remote_agent.py   an agent, seen from here
trial.py flow.py   the flow of a bench, over several machines
rehearsal.py sshd.py     `rehearse`: machines made of network namespaces
"""
