"""Shows that the tests can fail: damages the kit in one place at a time and runs one test.

    CONFAB_BINARY=… python3 tests/mutations.py [NAME…]

Exits with status 0 only if every damage is detected.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).resolve().parent


class Mutation(NamedTuple):
    name: str
    old: str
    new: str
    test: str


MUTATIONS = [
    Mutation(
        "reconnect without a resume point",
        'query["after"] = self._timeline.last',
        "pass",
        "test_faults.InterruptionTests.test_missed_messages_edits_and_deletions_arrive",
    ),
    Mutation(
        "a repeated message is delivered again",
        "if message.id <= self.last:\n            return self._apply(message)",
        "if message.id <= self.last:\n            return [MessageEvent(message)]",
        "test_kit.MessageTests.test_a_repeated_local_id_is_one_message",
    ),
    Mutation(
        "a new id for each attempt",
        '{"content": item.text, "local_id": item.local_id}',
        '{"content": item.text, "local_id": f"{item.local_id}.{item.tries}"}',
        "test_torture.TortureTests.test_kills_of_one_node",
    ),
    Mutation(
        "several messages in flight",
        "if self.in_flight or now < self.not_before:",
        "if now < self.not_before:",
        "test_rules.OutboxTests.test_one_message_is_in_flight_at_a_time",
    ),
    Mutation(
        "a sent message counts as stored",
        "self._write_frame(_send_frame(item))",
        "self._write_frame(_send_frame(item))\n            self._outbox.remove(item.local_id)",
        "test_torture.TortureTests.test_kills_of_one_node",
    ),
    Mutation(
        "the outbox is not persisted",
        "        self._confab._store.save(self.id, item)\n        self._outbox.add(item)\n"
        '        self._emit(OutboxEvent(local_id, "sending"))',
        '        self._outbox.add(item)\n        self._emit(OutboxEvent(local_id, "sending"))',
        "test_programs.DriverTests.test_a_killed_driver_continues_with_its_store",
    ),
    Mutation(
        "the outbox does not wait for missed messages",
        "if is_caught_up and (item := self._outbox.begin(now)):",
        "if item := self._outbox.begin(now):",
        "test_faults.ForgottenIDTests",
    ),
    Mutation(
        "the echo of another user counts",
        "or self._confab.user not in (None, message.author)",
        "",
        "test_kit.MessageTests.test_another_user_may_choose_the_same_local_id",
    ),
    Mutation(
        "gaps are not fetched",
        "if is_due or (has_stalled and not self.is_caught_up):",
        "if False:",
        "test_faults.InterruptionTests.test_a_lost_frame_is_fetched",
    ),
    Mutation(
        "pages raise the revision",
        "            self.last = message.id\n            message = self._newest(message)",
        "            self.last = message.id\n            self._raise(message.rev)\n"
        "            message = self._newest(message)",
        "test_rules.TimelineTests.test_the_resume_point_is_never_ahead_of_missing_changes",
    ),
    Mutation(
        "changes are not applied",
        "            if self._index(message.id) is not None:\n                return self._apply",
        "            if self._index(message.id) is None:\n                return self._apply",
        "test_faults.InterruptionTests.test_changes_are_complete_after_cuts_at_any_time",
    ),
    Mutation(
        "no watchdog",
        'return "dead" if now - self._probed_at >= self.ANSWER else "alive"',
        'return "alive"',
        "test_faults.DeadConnectionTests.test_a_half_open_connection_is_replaced",
    ),
    Mutation(
        "no probe after a suspension",
        "if self._probed_at is not None and not jumped:",
        "if jumped:\n            return 'dead'\n        if self._probed_at is not None:",
        "test_faults.DeadConnectionTests.test_after_a_suspension_the_client_probes_first",
    ),
    Mutation(
        "an unanswered send waits for ever",
        "if silence >= _ANSWER_SECONDS or now - since >= _REPLAY_SECONDS:",
        "if False:",
        "test_faults.DeadConnectionTests.test_a_send_without_an_answer_is_sent_again",
    ),
    Mutation(
        "delays without jitter",
        "return self.SHORTEST + self._random.uniform(0, self._ceiling(attempt) - self.SHORTEST)",
        "return self._ceiling(attempt)",
        "test_faults.WaitTests.test_clients_of_a_killed_server_return_spread_over_time",
    ),
    Mutation(
        "Retry-After is ignored",
        'retry_after = _seconds(error.response.headers.get("Retry-After"))',
        "retry_after = None",
        "test_faults.WaitTests.test_503_is_obeyed",
    ),
    Mutation(
        "tokens are not renewed",
        'self._write_frame(_frame("authenticate", token=token))',
        "pass",
        "test_tokens.TokenTests.test_a_token_is_renewed_on_the_live_connection",
    ),
    Mutation(
        "a rejected token is requested again and again",
        "                self._token_tried = True\n",
        "",
        "test_tokens.TokenTests.test_a_rejected_token_ends_with_the_reason",
    ),
    Mutation(
        "a truncated history is taken as complete",
        'self._timeline.reload("history truncated", is_replayed=True)',
        "pass",
        "test_store.OtherHistoryTests.test_messages_that_are_not_retained_cause_a_reset",
    ),
    Mutation(
        "another history is not noticed",
        'self._timeline.reload("history reset", is_replayed=False)',
        "pass",
        "test_store.OtherHistoryTests.test_a_restored_backup_causes_a_reset",
    ),
    Mutation(
        "late reactions replace newer ones",
        "now[part] >= max(was[part], 0)",
        "now[part] >= 0",
        "test_parts.PartsTests",
    ),
    Mutation(
        "acknowledged reactions are forgotten",
        "            own[emoji] = (rev, is_on)",
        "            pass",
        "test_parts.MineTests",
    ),
    Mutation(
        "requests are forgotten with the connection",
        "if request.want or (request.future and request.future.done()):",
        'if request.action != "edit_message":',
        "test_features.InterruptedFeatureTests.test_requests_survive_a_frozen_connection",
    ),
    Mutation(
        "the outbox forgets to what a message replies",
        "                reply_to=reply_to,\n                mentions=_mentions(",
        "                mentions=_mentions(",
        "test_features.InterruptedFeatureTests.test_a_stored_reply_keeps_its_fields",
    ),
    Mutation(
        "one of several events of a revision raises the resume point",
        "self._raise(message.rev - 1)",
        "self._raise(message.rev)",
        "test_rules.TimelineTests.test_the_resume_point_is_never_ahead_of_missing_changes",
    ),
    Mutation(
        "reading continues while the loop is slow",
        "while self._readers and len(self._events) >= _EVENT_LIMIT:",
        "while False:",
        "test_kit.EventTests.test_a_slow_loop_loses_nothing",
    ),
]


def is_detected(mutation: Mutation, folder: Path) -> bool:
    path = folder / "confab.py"
    source = (TESTS.parent / "confab.py").read_text()
    if source.count(mutation.old) != 1:
        sys.exit(f"mutations: {mutation.name}: the text to replace occurs not once")
    path.write_text(source.replace(mutation.old, mutation.new))
    command = [sys.executable, "-m", "unittest", "--failfast", mutation.test]
    process = subprocess.Popen(
        command,
        cwd=TESTS,
        env=os.environ | {"CONFAB_KIT": str(folder), "TMPDIR": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait(180) != 0
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # The test and the servers that it started.
        process.wait()
        return True


def main() -> int:
    chosen = [one for one in MUTATIONS if not sys.argv[1:] or one.name in sys.argv[1:]]
    survivors = 0
    with tempfile.TemporaryDirectory(prefix="confab-py-mutation-") as name:
        folder = Path(name)
        shutil.copy(TESTS.parent / "README.md", folder)
        for mutation in chosen:
            detected = is_detected(mutation, folder)
            survivors += not detected
            print(f"{'detected' if detected else 'MISSED  '} {mutation.name}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} detected")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
