"""A whole household on this machine: homeserver, maubot with the plugin, generator, a person, on loopback only.

What `make run` starts and what the end-to-end tests talk to. It knows the bot and the generator as anyone does who
installs them: by their settings, their sockets and what they say in a room.
"""
