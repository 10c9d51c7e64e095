# python-olm builds libolm from source and, by default, libolm's own tests too, which take minutes and are not needed.
set(OLM_TESTS OFF CACHE BOOL "")
