"""D1: what `kubectl auth can-i` answers for each account: yes to all that the page of rights grants, no to the rest.

A real API server is asked, in bulk as kubectl asks it and now and then by kubectl itself.
"""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Iterator

import httpx
import pytest

from controlplane import apply
from controlplane.server import ControlPlane
from integration.resources.accounts import OVERLAY
from rights.granted import ROLES, Right
from rights.refused import REFUSALS, Ask, Place

NO_ACCOUNT = "default"
"""What a pod has whose manifest names none: the tunnel, without a token even of that."""

Question = tuple[Right, str, str]
"""The right, the namespace it is asked for in (empty: in none), and the object's name or nothing."""


class CanI:
    """Asks the API server what accounts may do."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self.namespace = namespace
        self._namespaces: dict[Place, str] = {
            "here": namespace,
            "elsewhere": "default",
            "cluster": "",
        }
        context = ssl.create_default_context(cafile=str(plane.credentials.ca))
        bearer = f"Bearer {plane.credentials.admin_token}"
        self._http = httpx.Client(
            base_url=plane.url,
            headers={"Authorization": bearer},
            verify=context,
            timeout=60,
        )

    def close(self) -> None:
        self._http.close()

    def questions(self, ask: Ask) -> Iterator[Question]:
        """Yield an ask as single questions."""
        for resource in ask.resources:
            for verb in ask.verbs:
                right = (ask.group, resource, verb)
                yield right, self._namespaces[ask.place], ""

    def may(self, account: str, question: Question) -> bool:
        (group, resource, verb), namespace, name = question
        plural, _, subresource = resource.partition("/")
        place = f"system:serviceaccounts:{self.namespace}"
        groups = ["system:serviceaccounts", place, "system:authenticated"]
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": f"system:serviceaccount:{self.namespace}:{account}",
                "groups": groups,
                "resourceAttributes": {
                    "group": group,
                    "resource": plural,
                    "subresource": subresource,
                    "verb": verb,
                    "namespace": namespace,
                    "name": name,
                },
            },
        }
        answer = self._http.post(
            "/apis/authorization.k8s.io/v1/subjectaccessreviews", json=review
        )
        return bool(answer.raise_for_status().json()["status"]["allowed"])


@pytest.fixture(scope="module")
def can_i(control_plane: ControlPlane) -> Iterator[CanI]:
    """About the accounts of the overlay in which the bridge stands apart."""
    namespace = f"can-i-{secrets.token_hex(4)}"
    apply.apply_rights(control_plane, namespace, OVERLAY)
    asking = CanI(control_plane, namespace)
    yield asking
    asking.close()
    control_plane.kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.mark.parametrize("account", ROLES)
def test_yes_to_all_that_is_granted(can_i: CanI, account: str) -> None:
    """In its own namespace; in another one the same is refused."""
    here, elsewhere = can_i.namespace, "default"
    rights = [
        ((grant.group, resource, verb), name)
        for grant in ROLES[account]
        for resource in grant.resources
        for verb in grant.verbs
        for name in grant.names or [""]
    ]
    assert rights
    for right, name in rights:
        assert can_i.may(account, (right, here, name)), right
        assert not can_i.may(account, (right, elsewhere, name)), right
        assert not can_i.may(NO_ACCOUNT, (right, here, name)), right


@pytest.mark.parametrize("account", ROLES)
def test_no_to_all_that_the_page_says_is_refused(
    can_i: CanI, account: str
) -> None:
    asked = 0
    for refusal in REFUSALS:
        if account not in refusal.accounts:
            continue

        for ask in refusal.asks:
            for question in can_i.questions(ask):
                asked += 1
                assert not can_i.may(account, question), question

    assert asked > 100


@pytest.mark.parametrize(
    ("account", "asked", "answer"),
    [
        ("cerebro-agent", "get secrets", "yes"),
        ("cerebro-agent", "list secrets", "no"),
        ("cerebro-operator", "get secrets", "no"),
        ("cerebro-bridge", "create sessions.relay.cerebro.dev", "yes"),
        ("cerebro-bridge", "create pods", "no"),
        (NO_ACCOUNT, "list sessions.relay.cerebro.dev", "no"),
    ],
)
def test_kubectl_says_the_same(
    control_plane: ControlPlane,
    can_i: CanI,
    account: str,
    asked: str,
    answer: str,
) -> None:
    user = f"system:serviceaccount:{can_i.namespace}:{account}"
    place = ("--namespace", can_i.namespace, f"--as={user}")
    words = ("auth", "can-i", *asked.split(), *place)
    if answer == "yes":
        assert control_plane.kubectl(*words).strip() == "yes"
        return

    # It ends with 1, and has no error to tell.
    with pytest.raises(RuntimeError, match=r"auth can-i .*: $"):
        control_plane.kubectl(*words)
