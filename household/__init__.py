"""A whole household on this machine: homeserver, maubot with the plugin, generator, a person, on loopback only.

`make run` starts it, and the end-to-end tests talk to it. It knows the bot and the generator only by their settings,
their sockets and their messages in a room, as anyone does who installs them.
"""
