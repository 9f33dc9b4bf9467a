"""From a service's functions to an object file that every rung links. Needs Numba.

`build` is the way in. The steps, in reading order:

| file | step |
|---|---|
| subset.py | what of Python is refused, on the source |
| plan.py | what is compiled, and the number by which an entry reports a fault |
| shapes.py | Numba types of request, reply, state and source |
| operations.py, items.py, ranges.py, siphash.py | operators and functions, as instructions |
| session.py | the functions of one service, their files and compiled forms |
| translate.py | a pass over Numba's IR: each operation becomes one of those, or is refused |
| pipeline.py | Numba with that pass; types that are refused |
| entries.py | what C calls: the user's functions behind plain pointers |
| emit.py | LLVM's optimiser and code generator; symbols and stack frames are checked |
"""
