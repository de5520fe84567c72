"""R15: a service has one home; what another server says of it is refused until that home lets it go."""

from bus.config import Timing
from bus.messages import Registration, Rejection, Report
from bus.step import Peer, Received, Send
from bus.values import ServiceDefinition
from sds.case import Write, Written
from sds.description import ServiceDescription


def definition(home: str) -> ServiceDefinition:
    return ServiceDefinition(name="www", fqdn="www.test", port=80, home=home, start=("run",))


class Cluster:
    """An SDS whose store takes everything at once."""

    def __init__(self) -> None:
        timing = Timing.lan()
        self.sds = ServiceDescription(
            cluster="test",
            incarnation=1,
            timing=timing,
            servers=(),
            records=(),
            high_water={},
            public_key_of=lambda name: name,
            draw=lambda: 7,
            now=0.0,
        )
        self.timing = timing

    def hear(self, sender: Peer, message: Report | Registration) -> list[object]:
        actions = self.sds.step(Received(sender, message), 1.0)
        for action in list(actions):
            if isinstance(action, Write):
                actions += self.sds.step(Written(action.service, action.record.version), 1.0)
        return actions

    def register(self, name: str, *services: ServiceDefinition) -> list[object]:
        self.hear(Peer(name, "guard", 1), Report(knows=1))
        offer = Registration(
            address=name, peer_port=5760, services=services, able=("www",), lease_s=self.timing.lease_s, stop_s=self.timing.stop_s
        )
        return self.hear(Peer(name, "runner", 1), offer)


def home(cluster: Cluster) -> str:
    record = cluster.sds.witness.cases["www"].record
    return (record.proposed or record.definition).home


def test_a_second_home_is_refused_and_told_what_to_mend() -> None:
    cluster = Cluster()
    cluster.register("http", definition("http"))
    answers = cluster.register("ftp", definition("ftp"))
    [refusal] = [a.message for a in answers if isinstance(a, Send) and isinstance(a.message, Rejection)]
    assert "http's service already" in refusal.text
    assert home(cluster) == "http"


def test_a_home_that_lets_go_may_be_followed() -> None:
    cluster = Cluster()
    cluster.register("http", definition("http"))
    cluster.register("http")
    cluster.register("ftp", definition("ftp"))
    assert home(cluster) == "ftp"
