// What an operator wishes: shown first what it will do, then done.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Dialog } from "./dialog";
import { act, line, preview } from "./requests";
import { Mark } from "./signs";
import type { Outcome, Preview, Wish } from "./state";
import { useSurroundings } from "./surroundings";

export function WishDialog({ wish: first, close }: { wish: Wish; close: () => void }): JSX.Element {
  const { session } = useSurroundings();
  const csrf = session?.csrf ?? "";
  const [wish, setWish] = useState(first);
  const [foreseen, failure] = useForeseen(csrf, wish);
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const [busy, setBusy] = useState(false);
  const perform = (): void => {
    setBusy(true);
    act(csrf, wish).then(setOutcome, (refused: unknown) => setOutcome({ done: false, text: line(refused) }));
  };
  return (
    <Dialog title={title(wish)} close={close}>
      {wish.action === "move" && outcome === null && <Target wish={wish} choose={setWish} />}
      <div aria-live="polite">
        {outcome === null ? <Foreseen foreseen={foreseen} failure={failure} /> : <Result outcome={outcome} />}
      </div>
      <footer>
        {outcome === null && (
          <button type="button" class="main" disabled={!foreseen?.ok || busy} onClick={perform}>
            {busy ? "Asking the SDS ..." : `Yes, ${wish.action}`}
          </button>
        )}
        <button type="button" onClick={close}>
          {outcome === null ? "Leave it" : "Done"}
        </button>
      </footer>
    </Dialog>
  );
}

function title(wish: Wish): string {
  if (wish.action === "move") return `Move ${wish.service ?? ""}`;
  return wish.action === "drain" ? `Drain ${wish.server ?? ""}` : `Resume ${wish.server ?? ""}`;
}

/** What the monitor says would come of it, and if it says nothing, why. */
function useForeseen(csrf: string, wish: Wish): [Preview | null, string] {
  const [foreseen, setForeseen] = useState<Preview | null>(null);
  const [failure, setFailure] = useState("");
  useEffect(() => {
    let current = true;
    setForeseen(null);
    setFailure("");
    preview(csrf, wish).then(
      (found) => current && setForeseen(found),
      (refused: unknown) => current && setFailure(line(refused)),
    );
    return () => {
      current = false;
    };
  }, [csrf, wish]);
  return [foreseen, failure];
}

function Target({ wish, choose }: { wish: Wish; choose: (wish: Wish) => void }): JSX.Element {
  const { state } = useSurroundings();
  const service = state.services[wish.service ?? ""];
  const { to: _, ...anywhere } = wish;
  const pick = (to: string): void => choose(to === "" ? anywhere : { ...anywhere, to });
  return (
    <label class="target">
      <span>To</span>
      <select aria-label="To" value={wish.to ?? ""} onChange={(changed) => pick(changed.currentTarget.value)}>
        <option value="">the best candidate</option>
        {(service?.candidates ?? []).map((candidate) => (
          <option key={candidate.server} value={candidate.server}>
            {candidate.server}
            {candidate.ok ? "" : ` (${candidate.why_not ?? "cannot"})`}
          </option>
        ))}
      </select>
    </label>
  );
}

function Foreseen({ foreseen, failure }: { foreseen: Preview | null; failure: string }): JSX.Element {
  if (failure !== "") return <p class="failure">{failure}</p>;
  if (foreseen === null) return <p class="waiting">Asking what it will do ...</p>;
  return (
    <>
      <ul class="foreseen">
        {foreseen.sentences.map((sentence) => (
          <li key={sentence}>{sentence}</li>
        ))}
      </ul>
      {!foreseen.ok && <p class="failure">It cannot be done: {foreseen.why_not ?? "no reason is known"}</p>}
    </>
  );
}

function Result({ outcome }: { outcome: Outcome }): JSX.Element {
  return (
    <p class={outcome.done ? "tone-ok" : "failure"}>
      <Mark sign={outcome.done ? "ok" : "alarm"} />
      {outcome.text}
    </p>
  );
}
