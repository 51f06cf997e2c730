"""IPv4 and IPv6 networks in their one spelling."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from .judgement import Judgement

Address = IPv4Address | IPv6Address

_PREFIX = re.compile(r"(0|[1-9][0-9]{0,2})\Z")


@dataclass(frozen=True)
class Network:
    """An address and a prefix length, no bit set beyond the prefix. Never an IPv6 spelling of an
    IPv4 network."""

    address: Address
    prefix: int

    @staticmethod
    def parse(text: str) -> Network | None:
        """The network, or ``None`` where the text is not its one spelling."""
        written, slash, length = text.partition("/")
        address = _address(written)
        if not slash or address is None or not _PREFIX.match(length):
            return None
        network = Network(address, int(length))
        if network.prefix > address.max_prefixlen or int(address) & ~network._mask():
            return None
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            return None
        return network if str(address) == written else None

    def covers(self, other: Network) -> bool:
        """Whether the other is this network or a part of it."""
        return (
            self.prefix <= other.prefix
            and self.address.version == other.address.version
            and int(other.address) & self._mask() == int(self.address)
        )

    def judge(self, text: str) -> Judgement:
        """Where a value that somebody wrote lies: an address or a network. Names, ports, zones and
        IPv6 spellings of IPv4 addresses are unclear, and so is a network that only overlaps."""
        address = _address(text)
        other = Network.parse(text) if address is None else _single(address)
        if other is None:
            return Judgement.UNCLEAR
        if self.covers(other):
            return Judgement.HOLDS
        if other.covers(self) or other._carries_ipv4():
            return Judgement.UNCLEAR
        return Judgement.FAILS

    def _mask(self) -> int:
        width: int = self.address.max_prefixlen
        return ((1 << width) - 1) ^ ((1 << (width - self.prefix)) - 1)

    def _carries_ipv4(self) -> bool:
        return any(carrier.covers(self) or self.covers(carrier) for carrier in _CARRIERS)


def _single(address: Address) -> Network:
    return Network(address, address.max_prefixlen)


def _address(text: str) -> Address | None:
    try:
        if ":" not in text:
            return IPv4Address(text)
        return None if "%" in text else IPv6Address(text)
    except AddressValueError:
        return None


# IPv6 networks whose addresses stand for IPv4 ones: compatible, mapped, translated (RFC 6052), 6to4.
_CARRIERS = (
    Network(IPv6Address("::"), 96),
    Network(IPv6Address("::ffff:0:0"), 96),
    Network(IPv6Address("64:ff9b::"), 96),
    Network(IPv6Address("2002::"), 16),
)
