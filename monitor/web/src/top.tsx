// The head of the page: which cluster, whether all is well, whether the page is live, and who looks at it.

import type { JSX } from "preact";
import type { View } from "./feed";
import { line, logout } from "./requests";
import { Mark } from "./signs";
import type { Remark, Session, Snapshot } from "./state";
import { chosen, setTheme, THEMES, type Theme } from "./theme";
import { span, useNow, whole } from "./times";
import { useState } from "preact/hooks";

interface TopShown {
  readonly view: View;
  readonly session: Session | null;
  readonly setSession: (session: Session) => void;
  readonly openLogin: () => void;
}

export function Top({ view, session, setSession, openLogin }: TopShown): JSX.Element {
  const head = view.state?.head;
  return (
    <header class="top">
      <h1>
        Locum <span>{head?.cluster ?? ""}</span>
      </h1>
      {head !== undefined && <Verdict verdict={view.link === "live" ? head.verdict : null} />}
      <div class="tools">
        <LinkState view={view} />
        <ThemeChoice />
        <Who session={session} setSession={setSession} openLogin={openLogin} />
      </div>
    </header>
  );
}

/** The monitor's verdict; none while the page does not hear of it. */
function Verdict({ verdict }: { verdict: Remark | null }): JSX.Element {
  return (
    <p class={`verdict tone-${verdict?.level ?? "silent"}`} role="status">
      <Mark sign={verdict?.level ?? "silent"} />
      {verdict?.text ?? "Not known: the page has lost the monitor."}
    </p>
  );
}

function LinkState({ view }: { view: View }): JSX.Element {
  const words = { connecting: "connecting", live: "live", lost: "reconnecting" };
  return (
    <span class={`link link-${view.link}`}>
      <i aria-hidden="true" />
      {words[view.link]}
    </span>
  );
}

function ThemeChoice(): JSX.Element {
  const [theme, choose] = useState<Theme>(chosen());
  const pick = (picked: Theme): void => {
    setTheme(picked);
    choose(picked);
  };
  return (
    <label class="theme">
      <span class="unseen">Colours</span>
      <select aria-label="Colours" value={theme} onChange={(changed) => pick(changed.currentTarget.value as Theme)}>
        {THEMES.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

function Who({ session, setSession, openLogin }: Omit<TopShown, "view">): JSX.Element {
  const [failure, setFailure] = useState("");
  if (!session?.operator) {
    return (
      <button type="button" onClick={openLogin}>
        Log in
      </button>
    );
  }
  const leave = (): void => {
    logout(session.csrf).then(setSession, (refused: unknown) => setFailure(line(refused)));
  };
  return (
    <span class="who">
      {session.name ?? "operator"}
      <button type="button" onClick={leave} title={failure}>
        Log out
      </button>
    </span>
  );
}

/** What must not be overlooked, above everything else. */
export function Banners({ view }: { view: View }): JSX.Element {
  const now = useNow();
  return (
    <div class="banners" role="region" aria-label="what needs attention">
      {view.link === "lost" && <LostMonitor since_s={now - (view.lost_at ?? now)} />}
      {view.state !== null && view.link === "live" && <LostSds state={view.state} now={now + view.offset_s} />}
      {view.link === "live" &&
        unsaid(view.state).map((alarm) => (
          <p key={alarm.text} class={`banner is-${alarm.level}`} role={alarm.level === "alarm" ? "alert" : "status"}>
            <Mark sign={alarm.level} />
            {alarm.text}
          </p>
        ))}
    </div>
  );
}

/** What the verdict beside the title does not say already; an alarm is worth saying twice. */
function unsaid(state: Snapshot | null): readonly Remark[] {
  if (state === null) return [];
  const { alarms, verdict } = state.head;
  return alarms.filter((alarm) => alarm.level === "alarm" || alarm.text !== verdict.text);
}

function LostMonitor({ since_s }: { since_s: number }): JSX.Element {
  return (
    <p class="banner is-lost" id="lost-monitor">
      <Mark sign="silent" />
      <span>
        <b role="alert">The monitor does not answer this page; it connects again by itself.</b> What is below is {whole(since_s)} old.
      </span>
    </p>
  );
}

function LostSds({ state, now }: { state: Snapshot; now: number }): JSX.Element | null {
  const { lost_since, heard_at } = state.head;
  if (lost_since === null) return null;
  return (
    <p class="banner is-lost" id="lost-sds">
      <Mark sign="silent" />
      <span>
        <b role="alert">The monitor hears nothing of the SDS.</b>{" "}
        {heard_at === null ? "It has not heard of it yet." : `What is below is ${span(Math.max(0, Math.round(now - heard_at)))} old.`}
      </span>
    </p>
  );
}
