// What is said to who hears the page: changes of holder and losses, not every event.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { View } from "./feed";
import type { Passage } from "./state";

export function Announcing({ view }: { view: View }): JSX.Element {
  const [said, say] = useState("");
  const known = useRef<Map<string, string> | null>(null);
  const passages = view.state?.passages;
  useEffect(() => {
    if (passages === undefined) return;
    const before = known.current;
    known.current = new Map(passages.map((passage) => [passage.id, passage.state]));
    const fresh = passages.filter((passage) => before !== null && before.get(passage.id) !== passage.state);
    if (fresh.length > 0) say(fresh.map(sentence).join(" "));
  }, [passages]);
  return (
    <p class="unseen" role="status" aria-live="polite">
      {said}
    </p>
  );
}

function sentence(passage: Passage): string {
  const way = `${passage.service}: ${passage.kind} from ${passage.from ?? "nobody"} to ${passage.to ?? "nobody yet"}`;
  return `${way} ${passage.state === "done" ? "is done" : "is under way"}.`;
}
