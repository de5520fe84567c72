// The operator's door.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Dialog } from "./dialog";
import { line, login } from "./requests";
import type { Session } from "./state";

interface LoginShown {
  /** Why it was opened unasked; empty if it was not. */
  readonly why: string;
  readonly session: Session | null;
  readonly loggedIn: (session: Session) => void;
  readonly close: () => void;
}

export function LoginDialog({ why, session, loggedIn, close }: LoginShown): JSX.Element {
  const [password, setPassword] = useState("");
  const [failure, setFailure] = useState("");
  const submit = (submitted: SubmitEvent): void => {
    submitted.preventDefault();
    setFailure("");
    login(session?.csrf ?? "", password).then(loggedIn, (refused: unknown) => setFailure(line(refused)));
  };
  return (
    <Dialog title="Log in as operator" close={close}>
      {why !== "" && <p class="failure">{why}</p>}
      <form onSubmit={submit}>
        <label>
          <span>Password</span>
          <input
            type="password"
            name="password"
            autoComplete="current-password"
            required
            value={password}
            onInput={(changed) => setPassword(changed.currentTarget.value)}
          />
        </label>
        {failure !== "" && <p class="failure" role="alert">{failure}</p>}
        <p class="fine">Or open the link that the monitor printed when it was started: it works once.</p>
        <footer>
          <button type="submit" class="main">
            Log in
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
