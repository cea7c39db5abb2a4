"""The only floor that speaks HTTP through aiohttp: the client's end, the upstream's end and what lies between."""
