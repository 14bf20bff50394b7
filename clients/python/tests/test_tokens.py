"""Tokens that expire, are renewed, or are rejected."""

from __future__ import annotations

import asyncio
import time
import unittest

from support import FakeClock, SystemTest, all_of, make_token, until

import confab


class TokenTests(SystemTest):
    async def test_a_token_is_renewed_on_the_live_connection(self) -> None:
        proxy = await self.proxy()
        issued: list[str] = []

        async def token() -> str:
            # The client renews it after 4.5 to 6 s, which may be late on a busy machine.
            issued.append(make_token("alice", ttl=10))
            return issued[-1]

        room = (await self.client(url=proxy.url, token=token)).conversation("lobby")
        await room.send("one", timeout=10)
        await asyncio.sleep(11)
        self.assertEqual((await room.send("two", timeout=10)).id, 2)
        self.assertEqual((room.state, proxy.accepted), ("online", 1))
        self.assertGreaterEqual(len(issued), 2)

    async def test_a_token_is_renewed_30_s_before_it_expires(self) -> None:
        clock, issued = FakeClock(), []

        def token() -> str:
            issued.append(make_token("alice", ttl=3600 + clock.added))
            return issued[-1]

        client = await self.client(token=token, clock=clock)
        room = client.conversation("lobby")
        await until(lambda: room.state == "online", "online")
        clock.added += 3560  # The machine's time also passes, more of it if it is busy.
        await asyncio.sleep(2.2)
        self.assertEqual(len(issued), 1)
        clock.added += 15
        await until(lambda: len(issued) == 2, "a new token")
        self.assertEqual(room.state, "online")

    async def test_a_renewal_may_fail_for_a_while(self) -> None:
        failures = 0

        def token() -> str:
            nonlocal failures
            if failures in (1, 2):
                failures += 1
                raise RuntimeError("the issuer is unavailable")
            failures += 1
            return make_token("alice", ttl=8)

        room = (await self.client(token=token)).conversation("lobby")
        reader = self.follow(room)
        await room.send("one", timeout=10)
        await asyncio.sleep(9)
        self.assertEqual((await room.send("two", timeout=20)).id, 2)
        self.assertIn("token: the issuer is unavailable", [e.reason for e in reader.of("error")])
        self.assertEqual(reader.violations, [])

    async def test_an_expired_token_is_replaced_once(self) -> None:
        tokens = [make_token("alice", ttl=-5), make_token("alice")]
        room = (await self.client(token=lambda: tokens.pop(0))).conversation("lobby")
        self.assertEqual((await room.send("x", timeout=10)).id, 1)
        self.assertEqual(tokens, [])

    async def test_a_rejected_token_ends_with_the_reason(self) -> None:
        cases = {
            "expired": (make_token("alice", ttl=-5), "The token has expired."),
            "forged": (make_token("alice")[:-4] + "AAAA", "The token's signature is wrong."),
            "not granted": (make_token("alice", conversations="other"), "access denied"),
        }
        for name, (bad, reason) in cases.items():
            for source in (bad, lambda bad=bad: bad):
                with self.subTest(name):
                    proxy = await self.proxy()
                    client = await self.client(url=proxy.url, token=source)
                    room = client.conversation("lobby")
                    with self.assertRaises(confab.Refused) as caught:
                        await room.send("x", timeout=10)
                    self.assertEqual((caught.exception.reason, room.state), (reason, "refused"))
                    with self.assertRaises(confab.Refused):
                        async for _ in room:
                            pass
                    is_renewed = callable(source) and name != "not granted"
                    await asyncio.sleep(0.3)
                    self.assertEqual(proxy.accepted, 2 if is_renewed else 1)

    async def test_a_fixed_token_expires_on_the_live_connection(self) -> None:
        # Long enough for a busy machine: the client must connect and send before it expires.
        client = await self.client(token=make_token("alice", ttl=6))
        room = client.conversation("lobby")
        await room.send("x", timeout=10)
        await until(lambda: room.state == "refused", "refused")
        self.assertEqual(room.reason, "token expired")

    async def test_the_clock_of_this_machine_may_be_wrong(self) -> None:
        clock = FakeClock()
        client = await self.client(clock=clock)
        clock.error = -7200
        room = client.conversation("lobby")
        await room.send("x", timeout=10)
        self.assertAlmostEqual(client.clock_offset, 7200, delta=5)
        self.assertAlmostEqual(client.server_time(), time.time(), delta=5)

    async def test_a_fast_clock_does_not_request_tokens_in_a_loop(self) -> None:
        clock, issued = FakeClock(), []
        clock.error = 7200

        def token() -> str:
            issued.append(make_token("alice"))
            return issued[-1]

        room = (await self.client(token=token, clock=clock)).conversation("lobby")
        await until(lambda: room.state == "online", "online")
        await asyncio.sleep(3)
        self.assertEqual(len(issued), 1)

    async def test_conversations_share_a_renewed_token(self) -> None:
        issued: list[str] = []

        def token() -> str:
            issued.append(make_token("alice", ttl=10))
            return issued[-1]

        client = await self.client(token=token)
        rooms = [client.conversation(f"room{n}") for n in range(5)]
        await all_of([room.send("x") for room in rooms])
        self.assertEqual(len(issued), 1)
        await until(lambda: len(issued) == 2, "a new token, after half of the first one's life")
        await asyncio.sleep(2)  # The other conversations also renew it by now.
        self.assertEqual(len(issued), 2)
        await asyncio.sleep(4)  # The first token has expired.
        self.assertEqual([room.state for room in rooms], ["online"] * 5)


if __name__ == "__main__":
    unittest.main()
