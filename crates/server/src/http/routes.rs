//! Every route, with its handler, who may call it, and what it takes and answers. There is no other
//! list: the router, the OpenAPI document and the tests of access are made from it.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{Html, IntoResponse};
use axum::routing::{MethodRouter, delete, get, post, put};
use http::Method;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use serde_json::{Value, json};
use tose_api::account::*;
use tose_api::alert::{AlertView, CreateAlert, UpdateAlert};
use tose_api::analysis::{AnalyzeLogs, LogAnalysisView};
use tose_api::autoscaling::{AutoscalingView, SetAutoscaling};
use tose_api::database::{
    BackupView, CreateDatabase, DatabaseView, ExposeDatabase, RestoreBackup, UpdateDatabase,
};
use tose_api::deployment::{CreateDeployment, DeployHookView, DeploymentLogView, DeploymentView};
use tose_api::domain::{AddDomain, DomainView, SetCertificate};
use tose_api::domain_settings::DomainSettings;
use tose_api::drain::{DrainTest, DrainView, SetDrain};
use tose_api::env_var::{ChangeEnvVar, EnvVarView, EnvVarsChanged, SetEnvVar, SetEnvVars};
use tose_api::event::EventView;
use tose_api::exec::{Exec, ExecResult};
use tose_api::git::{
    ConnectGit, GitConnectionView, GitWebhookView, PushDeliveryView, PushReceived,
};
use tose_api::github::{
    ConnectGithub, GithubConnectView, GithubInstallationView, GithubRepositoryView,
};
use tose_api::job::{CreateJob, JobView};
use tose_api::log::{LogPage, LogStats};
use tose_api::maintenance::{CreateMaintenance, MaintenanceView};
use tose_api::member::*;
use tose_api::metrics::MetricsView;
use tose_api::notification::{
    CreateNotification, NoticeDeliveryView, NotificationTest, NotificationView, UpdateNotification,
};
use tose_api::project::{CreateProject, ProjectView, ScaleProject, StatusView, UpdateProject};
use tose_api::registry::{RegistryView, SetRegistry};
use tose_api::schedule::{ScheduleView, SetSchedule};
use tose_api::status_page::{PublicStatus, SetStatusPage, StatusPageView};
use tose_api::template::{CreateInstance, DeployInstance, TemplateView};
use tose_api::uptime::{CheckView, HeartbeatReceived, HeartbeatUrl, SetUptime, UptimeView};
use tose_api::wallet::*;
use tose_api::workspace::*;
use tose_model::log::MAX_SEARCH_CHARS;

use crate::app::Platform;
use crate::http::doc::{Doc, Gives, doc};
use crate::http::error::{ApiError, Transport};
use crate::http::guard::{self, Guard, KeyPlace, Needs};
use crate::http::kept::{self, Kept};
use crate::http::{
    accept, alert, auth, autoscaling, database, deployment, docs, domain, drain, env_var, etag,
    exec, git, git_push, github, heartbeat, hook, job, log, log_socket, maintenance, member,
    metrics, notification, openapi, payment, project, push, registry, schedule, status_page,
    system, template, uptime, wallet, workspace,
};
use crate::telemetry::{Operation, Operations};

/// The largest JSON body that a call may have, in bytes.
pub(crate) const MAX_BODY: usize = 1 << 20;

/// One line of the list.
pub(crate) struct Route {
    /// `WS` for a WebSocket.
    pub(crate) method: &'static str,
    /// The canonical path, then its aliases.
    pub(crate) paths: Vec<String>,
    pub(crate) needs: Needs,
    pub(crate) key_place: KeyPlace,
    pub(crate) doc: Doc,
    /// Whether its answer is the same for every member until something in the workspace changes.
    is_kept: bool,
    /// How long a call may take.
    time_limit: Duration,
    handler: MethodRouter<Arc<Platform>>,
}

/// What the middleware of kept answers works with.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) platform: Arc<Platform>,
    pub(crate) kept: Arc<Kept>,
}

const W: &str = "/api/workspaces/{slug}";
const P: &str = "/api/workspaces/{slug}/projects/{project_slug}";
const T: &str = "/api/workspaces/{slug}/templates/{template_slug}";
const D: &str = "/api/workspaces/{slug}/databases/{database}";

const ANYBODY: Needs = Needs::Nothing;
const CALLER: Needs = Needs::Caller;
const LOGIN: Needs = Needs::Login;
const MEMBER: Needs = Needs::Role(Role::Member);
const ADMIN: Needs = Needs::Role(Role::Admin);
const OWNER: Needs = Needs::Role(Role::Owner);
const OPERATOR: Needs = Needs::Operator;

#[rustfmt::skip]
pub(crate) fn routes() -> Vec<Route> {
    let w = |path: &str| format!("{W}{path}");
    let p = |path: &str| format!("{P}{path}");
    let t = |path: &str| format!("{T}{path}");
    let d = |path: &str| format!("{D}{path}");
    const BUSY: (&str, &str) = ("deployment_in_progress", "a deployment is on its way already");
    const PUSH: &str = "Git's own protocol; the key is the password, or in a header. The answer carries the deployment's log, and the push fails when the deployment does.";
    const SIGNED: &str = "Signed with a project's secret, it deploys that project. An unknown repository is nobody's: nothing happens.";
    const NO_PAYMENTS: (&str, &str) = ("no_payments", "this server takes none, or not in this way");
    const NOTICE: &str = "What is not signed as the provider documents is refused. Told of again, it changes nothing.";
    const BEAT: &str = "The token is the proof. What is sent along is not read.";
    const NO_APP: (&str, &str) = ("no_github_app", "the server has no GitHub App");
    const NOTHING: (&str, &str) = ("nothing_deployed", "the project was never live");
    const AUTOSCALING: (&str, &str) = ("autoscaling_on", "autoscaling would undo that; the message says what to do");
    const QUOTA: (&str, &str) = ("quota_exceeded", "the workspace may not use that much");
    vec![
        route("GET", "/healthz", ANYBODY, get(system::healthz), doc("healthz", "Is the server alive").gives::<String>()),
        route("GET", "/readyz", ANYBODY, get(system::readyz), doc("readyz", "Do store and engine answer").gives::<String>().engine()),
        route("GET", "/api/version", ANYBODY, get(system::version), doc("get_version", "The server's version").gives::<VersionView>()),
        route("GET", "/metrics", OPERATOR, get(metrics::scrape), doc("get_server_metrics", "What the server tells of itself and of projects, for Prometheus").raw("application/openmetrics-text")),

        route("POST", "/api/auth/register", ANYBODY, post(auth::register), doc("register", "Make an account and log in").takes::<Register>().creates::<SessionView>().text("The cookie of the answer is the login. Registration can be closed by the operator; invited people can always register.").conflict("taken", "the address has an account")),
        route("POST", "/api/auth/login", ANYBODY, post(auth::login), doc("login", "Log in").takes::<Login>().gives::<SessionView>().text("The cookie of the answer is the login, for seven days at most and twelve hours without use. With two-factor on, `code` is needed: 401 with the code `two_factor_required` says so.")),
        route("POST", "/api/auth/logout", LOGIN, post(auth::logout), doc("logout", "Log out").gives::<Done>()),
        route("POST", "/api/auth/password/forgot", ANYBODY, post(auth::forgot_password), doc("forgot_password", "Ask for a new password by mail").takes::<ForgotPassword>().accepts::<Done>().conflict("no_mail", "this server sends no mail").text("The answer is the same whether the address has an account or not.")),
        route("POST", "/api/auth/password/reset", ANYBODY, post(auth::reset_password), doc("reset_password", "Set a new password with the token of the mail").takes::<ResetPassword>().gives::<Done>()),
        route("GET", "/api/me", CALLER, get(auth::me), doc("get_me", "Who calls").gives::<MeView>()),
        route("PUT", "/api/me", CALLER, put(auth::update_me), doc("update_me", "Change one's own account").takes::<UpdateMe>().gives::<MeView>()),
        route("POST", "/api/me/password", LOGIN, post(auth::change_password), doc("change_password", "Change one's own password").takes::<ChangePassword>().gives::<Done>().text("Every other login ends.")),
        route("POST", "/api/me/totp", LOGIN, post(auth::start_totp), doc("start_totp", "Begin to switch two-factor on").gives::<TotpSecret>().conflict("conflict", "two-factor is on already")),
        route("POST", "/api/me/totp/confirm", LOGIN, post(auth::confirm_totp), doc("confirm_totp", "Switch two-factor on").takes::<ConfirmTotp>().gives::<RecoveryCodes>().conflict("not_started", "no secret was asked for").conflict("conflict", "two-factor is on already")),
        route("DELETE", "/api/me/totp", LOGIN, delete(auth::disable_totp), doc("disable_totp", "Switch two-factor off").takes::<DisableTotp>().gives::<Done>()),
        route("POST", "/api/invitations/{token}/accept", CALLER, post(member::accept_invitation), doc("accept_invitation", "Accept an invitation").gives::<Membership>().text("Only the account of the address that was invited can.")),

        route("GET", "/api/workspaces", CALLER, get(workspace::list), doc("list_workspaces", "The caller's workspaces").lists::<WorkspaceView>().text("A key's own one; for a login all that the account is a member of.")),
        route("POST", "/api/workspaces", CALLER, post(workspace::create), doc("create_workspace", "Make a workspace").takes::<CreateWorkspace>().creates::<WorkspaceView>().conflict("taken", "the slug is in use")),
        route("GET", w(""), MEMBER, get(workspace::get), doc("get_workspace", "A workspace").gives::<WorkspaceView>()),
        route("PUT", w(""), ADMIN, put(workspace::update), doc("update_workspace", "Change a workspace").takes::<UpdateWorkspace>().gives::<WorkspaceView>()),
        route("DELETE", w(""), OWNER, delete(workspace::delete), doc("delete_workspace", "Delete a workspace with all that is in it").gives::<Deleted>()),

        route("GET", w("/members"), MEMBER, get(member::list), doc("list_members", "The members").lists::<MemberView>()),
        route("POST", w("/members"), ADMIN, post(member::add), doc("add_member", "Make an account a member").takes::<AddMember>().creates::<MemberView>().conflict("taken", "it is a member already")),
        route("PUT", w("/members/{user_id}"), OWNER, put(member::change_role), doc("change_role", "Give a member another role").takes::<ChangeRole>().gives::<MemberView>().conflict("conflict", "it is the last owner")),
        route("DELETE", w("/members/{user_id}"), MEMBER, delete(member::remove), doc("remove_member", "Take a member out, or leave").gives::<Deleted>().text("Everybody may leave; taking somebody else out needs admin and no lower role than theirs. Their keys end.").conflict("conflict", "it is the last owner")),
        route("GET", w("/invitations"), ADMIN, get(member::list_invitations), doc("list_invitations", "Invitations that were not accepted").lists::<InvitationView>()),
        route("POST", w("/invitations"), ADMIN, post(member::invite), doc("create_invitation", "Invite somebody").takes::<Invite>().creates::<InvitationView>().text("Single use, for that address, seven days. The token is in this answer only.").conflict("taken", "the address belongs to a member")),
        route("DELETE", w("/invitations/{id}"), ADMIN, delete(member::delete_invitation), doc("delete_invitation", "Take an invitation back").gives::<Deleted>()),
        route("GET", w("/api-keys"), ADMIN, get(member::list_keys), doc("list_api_keys", "The workspace's keys").lists::<ApiKeyView>()),
        route("POST", w("/api-keys"), ADMIN, post(member::create_key), doc("create_api_key", "Make a key with the caller's role").takes::<CreateApiKey>().creates::<ApiKeyView>().text("The whole key is in this answer only.")),
        route("DELETE", w("/api-keys/{key_id}"), ADMIN, delete(member::delete_key), doc("delete_api_key", "End a key").gives::<Deleted>()),
        route("GET", w("/notifications"), MEMBER, get(notification::list), doc("list_notifications", "Who is told of what happens").gives::<Vec<NotificationView>>()),
        route("POST", w("/notifications"), ADMIN, post(notification::create), doc("create_notification", "Have somebody told of what happens").takes::<CreateNotification>().creates::<NotificationView>().text("By mail, Discord, Slack, Telegram, or a signed webhook. `events` and `projects` are the rule; an empty one stands for all. Each event is told once; what cannot be delivered is tried later and later, for a day. Events that come close together come as one message, and there are 20 messages in an hour at most. Addresses, tokens and secrets are kept sealed and never shown; a signing secret that the server made is in this answer only.").conflict("taken", "the workspace has a channel with this name").conflict("too_many_notifications", "the workspace has twenty").conflict("no_mail", "this server sends no mail")),
        route("GET", w("/notifications/{id}"), MEMBER, get(notification::get), doc("get_notification", "A channel, and how its last message fared").gives::<NotificationView>()),
        route("PUT", w("/notifications/{id}"), ADMIN, put(notification::update), doc("update_notification", "Change a channel").takes::<UpdateNotification>().gives::<NotificationView>().text("What is left out stays. Its kind cannot be changed. What waits for a channel that is switched off is dropped.").conflict("taken", "another channel has this name").conflict("no_mail", "this server sends no mail")),
        route("DELETE", w("/notifications/{id}"), ADMIN, delete(notification::delete), doc("delete_notification", "Tell it nothing any more").gives::<Deleted>()),
        route("POST", w("/notifications/{id}/test"), ADMIN, post(notification::test), doc("test_notification", "Send a message now").gives::<NotificationTest>().text("Answers whether it was taken, and if not, why. Six a minute.")),
        route("GET", w("/notifications/{id}/deliveries"), MEMBER, get(notification::deliveries), doc("list_notification_deliveries", "The newest 50 events that a channel was or is to be told").gives::<Vec<NoticeDeliveryView>>()),
        route("GET", w("/alerts"), MEMBER, get(alert::list), doc("list_alerts", "Rules about what projects use and serve, and how they stand").gives::<Vec<AlertView>>()),
        route("POST", w("/alerts"), ADMIN, post(alert::create), doc("create_alert", "Have people told of what projects use and serve").takes::<CreateAlert>().creates::<AlertView>().text("It fires for a project when all that is measured within the window is beyond the threshold, without a gap, and ends when nothing is for as long, five minutes at most; `restarts` are added up. Nothing fires for a project that is stopped. The workspace's channels are told of each once, as `alert_firing` and `alert_resolved`.").conflict("taken", "the workspace has a rule with this name").conflict("too_many_alerts", "the workspace has fifty")),
        route("GET", w("/alerts/{id}"), MEMBER, get(alert::get), doc("get_alert", "A rule, and how it stands for each project").gives::<AlertView>()),
        route("PUT", w("/alerts/{id}"), ADMIN, put(alert::update), doc("update_alert", "Change a rule").takes::<UpdateAlert>().gives::<AlertView>().text("What is left out stays. What fires is forgotten without a word, unless only the name is changed: the new rule is looked at from the next measurement on.").conflict("taken", "another rule has this name").conflict("conflict", "it was changed at the same moment")),
        route("DELETE", w("/alerts/{id}"), ADMIN, delete(alert::delete), doc("delete_alert", "Remove a rule").gives::<Deleted>()),
        route("GET", w("/events"), MEMBER, get(member::events), doc("list_events", "Who did what to what, when, from where").pages::<EventView>()),

        route("GET", w("/wallet"), MEMBER, get(wallet::get), doc("get_wallet", "What there is, what is used an hour, and for how long that is enough").gives::<WalletView>()),
        route("GET", "/api/wallet", CALLER, get(wallet::get_own), doc("get_own_wallet", "The wallet of the key's workspace").gives::<WalletView>()),
        route("GET", w("/wallet/transactions"), MEMBER, get(wallet::transactions), doc("list_transactions", "Every credit and charge, with the balance after it").pages::<TransactionView>()),
        route("GET", w("/wallet/usage"), MEMBER, get(wallet::usage), doc("get_usage", "What each project and database used, and was charged").gives::<UsageView>().or_raw("text/csv").text("Whole hours, this month's where none are named, a year at most.").query("start", "From this hour on", json!({"type": "string", "format": "date-time"})).query("end", "Before this hour", json!({"type": "string", "format": "date-time"})).query("format", "`csv` answers a table in place of JSON", json!({"type": "string", "enum": ["json", "csv"], "default": "json"}))),
        route("PUT", w("/wallet/threshold"), OWNER, put(wallet::set_threshold), doc("set_threshold", "Below what its owners get a mail").takes::<SetThreshold>().gives::<WalletView>()),
        route("PUT", w("/wallet/budget"), OWNER, put(wallet::set_budget), doc("set_budget", "What may be used in a month").takes::<SetBudget>().gives::<WalletView>()),
        route("GET", w("/wallet/topups"), MEMBER, get(payment::list), doc("list_topups", "Payments that were asked for").pages::<TopupView>()),
        route("GET", w("/wallet/topups/{id}"), MEMBER, get(payment::get), doc("get_topup", "A payment that was asked for").gives::<TopupView>()),
        route("POST", w("/wallet/topup"), OWNER, post(payment::create), doc("create_topup", "Ask for a payment in đồng").takes::<CreateTopup>().creates::<TopupView>().text("By bank transfer, with a VietQR code and a memo by which it finds the wallet, or on the page that `checkout_url` names. What arrives is credited, whatever was asked for.").conflict(NO_PAYMENTS.0, NO_PAYMENTS.1).conflict("billing_off", "this server charges nothing").conflict("wrong_currency", "wallets are kept in dollars").engine()),
        route("POST", w("/wallet/topup/usd"), OWNER, post(payment::create_usd), doc("create_usd_topup", "Ask for a payment in dollars").takes::<CreateUsdTopup>().creates::<TopupView>().text("On the page that `checkout_url` names. `GET /api/pricing` says as how much a dollar is credited.").conflict(NO_PAYMENTS.0, NO_PAYMENTS.1).conflict("billing_off", "this server charges nothing").engine()),
        route("GET", w("/wallet/invoices"), MEMBER, get(wallet::invoices), doc("list_invoices", "The months' invoices").lists::<InvoiceView>()),
        route("GET", w("/wallet/invoices/{month}"), MEMBER, get(wallet::invoice), doc("get_invoice", "A month's invoice as PDF").raw("application/pdf").text("That of a month that is not over says so.")),
        route("POST", w("/estimate"), MEMBER, post(wallet::estimate), doc("estimate", "What something would cost").takes::<EstimateRequest>().gives::<EstimateView>()),
        route("GET", "/api/pricing", ANYBODY, get(wallet::pricing), doc("get_pricing", "What an hour of everything costs").gives::<PricingView>()),
        route("POST", "/api/payments/sepay/webhook", ANYBODY, post(payment::sepay).layer(DefaultBodyLimit::max(payment::MAX_NOTICE)), doc("receive_sepay_notice", "What SePay tells of a bank account").takes_signed().raw("application/json").text(NOTICE)),
        route("POST", "/api/payments/payos/webhook", ANYBODY, post(payment::payos).layer(DefaultBodyLimit::max(payment::MAX_NOTICE)), doc("receive_payos_notice", "What PayOS tells of a payment").takes_signed().raw("application/json").text(NOTICE)),
        route("POST", "/api/payments/stripe/webhook", ANYBODY, post(payment::stripe).layer(DefaultBodyLimit::max(payment::MAX_NOTICE)), doc("receive_stripe_notice", "What Stripe tells of a checkout").takes_signed().raw("application/json").text(NOTICE)),
        route("GET", "/api/payments/vnpay/webhook", ANYBODY, get(payment::vnpay), doc("receive_vnpay_notice", "What VNPay tells of a payment").raw("application/json").text("Signed in the query; the answer has VNPay's own codes.")),
        route("POST", "/api/operator/workspaces/{slug}/credit", OPERATOR, post(payment::credit), doc("grant_credit", "Give a workspace credit").takes::<GrantCredit>().creates::<TransactionView>()),
        route("POST", "/api/operator/workspaces/{slug}/refund", OPERATOR, post(payment::refund), doc("note_refund", "Take down money that went back").takes::<NoteRefund>().creates::<TransactionView>().text("It moves no money: send it back at the provider first.").conflict("not_enough", "the wallet has less than that")),
        route("GET", "/api/operator/payments", OPERATOR, get(payment::payments), doc("list_payments", "What providers told of, newest first").pages::<PaymentView>().query("status", "Only those that stand like this", json!({"type": "string", "enum": ["credited", "review", "resolved"]}))),
        route("POST", "/api/operator/payments/{id}/resolve", OPERATOR, post(payment::resolve), doc("resolve_payment", "Say what a payment in review is").takes::<ResolvePayment>().gives::<PaymentView>().conflict("conflict", "nobody has to look at it, or it was credited").conflict("wrong_currency", "its amount cannot be credited")),

        route("GET", w("/maintenance"), MEMBER, get(maintenance::list), doc("list_maintenances", "Times in which failures are expected: those that repeat, then the latest first").lists::<MaintenanceView>().text("Those that ended are kept for 90 days.")),
        route("POST", w("/maintenance"), ADMIN, post(maintenance::create), doc("create_maintenance", "Say when failures are expected").takes::<CreateMaintenance>().creates::<MaintenanceView>().text("Checks go on meanwhile, but count for nothing: neither in percentages nor as incidents, and nobody is told of a failure. With `repeat` it comes again each week, at the same time in UTC, until it is deleted.").conflict("too_many_maintenances", "100 of them have not ended")),
        route("DELETE", w("/maintenance/{id}"), ADMIN, delete(maintenance::delete), doc("delete_maintenance", "Expect no failures any more").gives::<Deleted>()),
        route("GET", w("/status-page"), MEMBER, get(status_page::get), doc("get_status_page", "What everybody is shown").gives::<StatusPageView>()),
        route("PUT", w("/status-page"), ADMIN, put(status_page::set), doc("set_status_page", "Say what everybody is shown").takes::<SetStatusPage>().gives::<StatusPageView>().text("What is not sent keeps its value. Everybody sees how what is named is and has been, and the titles of maintenances; neither addresses nor reasons, and nothing of what is not named.")),
        route("GET", "/status/{slug}", ANYBODY, get(status_page::html), doc("show_status", "A workspace's status page").raw("text/html").text("404 for a workspace that has none, as for one that is not there.")),
        route("GET", "/api/status/{slug}", ANYBODY, get(status_page::json), doc("get_status_of_workspace", "What a workspace's status page shows").gives::<PublicStatus>()),
        route("GET", "/api/status/{slug}/badge.svg", ANYBODY, get(status_page::badge), doc("get_badge", "How all of a status page is, as an image").raw("image/svg+xml")),
        route("GET", "/api/status/{slug}/badge/{badge}", ANYBODY, get(status_page::project_badge), doc("get_project_badge", "How one thing on a status page is, as an image").raw("image/svg+xml")),
        route("GET", "/api/heartbeats/{token}", ANYBODY, get(heartbeat::done), doc("get_heartbeat", "Say that a job has done its work").gives::<HeartbeatReceived>().text(BEAT)),
        route("POST", "/api/heartbeats/{token}", ANYBODY, post(heartbeat::done), doc("send_heartbeat", "Say that a job has done its work").gives::<HeartbeatReceived>().text(BEAT)),
        route("GET", "/api/heartbeats/{token}/fail", ANYBODY, get(heartbeat::failed), doc("get_failed_heartbeat", "Say that a job has failed").gives::<HeartbeatReceived>().text(BEAT)),
        route("POST", "/api/heartbeats/{token}/fail", ANYBODY, post(heartbeat::failed), doc("send_failed_heartbeat", "Say that a job has failed").gives::<HeartbeatReceived>().text(BEAT)),

        route("GET", w("/projects"), MEMBER, get(project::list), doc("list_projects", "The projects").pages::<ProjectView>()).kept(),
        route("POST", w("/projects"), ADMIN, post(project::create), doc("create_project", "Make a project").takes::<CreateProject>().creates::<ProjectView>().costs().conflict("taken", "the slug is in use").conflict("one_replica_only", "a project with volumes has one replica")),
        route("GET", p(""), MEMBER, get(project::get), doc("get_project", "A project").gives::<ProjectView>()).kept(),
        route("PUT", p(""), ADMIN, put(project::update), doc("update_project", "Change a project").takes::<UpdateProject>().gives::<ProjectView>().conflict("conflict", "somebody else changed it at the same moment").conflict("one_replica_only", "a project with volumes has one replica").conflict(AUTOSCALING.0, AUTOSCALING.1).conflict(QUOTA.0, QUOTA.1).costs()),
        route("DELETE", p(""), ADMIN, delete(project::delete), doc("delete_project", "Delete a project with all that is in it").gives::<Deleted>()),
        route("GET", p("/status"), MEMBER, get(project::status), doc("get_status", "What its replicas do now").gives::<StatusView>().engine()),
        route("GET", p("/metrics"), MEMBER, get(metrics::get), over_time(doc("get_metrics", "What it used and served over time"))),
        route("GET", p("/uptime"), MEMBER, get(uptime::get), doc("get_uptime", "How a project is checked, whether it is up, and how it has been").gives::<UptimeView>()),
        route("PUT", p("/uptime"), ADMIN, put(uptime::set), set_uptime(doc("set_uptime", "Check a project, or change how"))),
        route("GET", p("/uptime/checks"), MEMBER, get(uptime::checks), which_checks(doc("list_checks", "Its checks of the last seven days, the newest first"))),
        route("POST", p("/uptime/heartbeat"), ADMIN, post(heartbeat::create), heartbeat_url(doc("create_heartbeat", "Make the address that a job calls, in place of the one there is"))),
        route("POST", p("/start"), MEMBER, post(project::start), doc("start_project", "Start a stopped project").gives::<ProjectView>().conflict(NOTHING.0, NOTHING.1).conflict(QUOTA.0, QUOTA.1).costs()),
        route("POST", p("/stop"), ADMIN, post(project::stop), doc("stop_project", "Stop a project, whatever it does").gives::<ProjectView>()),
        route("POST", p("/restart"), MEMBER, post(project::restart), doc("restart_project", "Replace its replicas, new beside old").gives::<ProjectView>().conflict(BUSY.0, BUSY.1).conflict(NOTHING.0, NOTHING.1).conflict(QUOTA.0, QUOTA.1).costs()),
        route("POST", p("/scale"), ADMIN, post(project::scale), doc("scale_project", "Set replicas, cpu and ram").takes::<ScaleProject>().gives::<ProjectView>().conflict("conflict", "somebody else changed it at the same moment").conflict("one_replica_only", "a project with volumes has one replica").conflict(AUTOSCALING.0, AUTOSCALING.1).conflict(QUOTA.0, QUOTA.1).costs()),
        route("GET", p("/autoscaling"), MEMBER, get(autoscaling::get), doc("get_autoscaling", "By what it gets more or fewer replicas, and what came of it").gives::<AutoscalingView>()),
        route("PUT", p("/autoscaling"), ADMIN, put(autoscaling::set), doc("set_autoscaling", "Have replicas come and go by themselves, or change by what").takes::<SetAutoscaling>().gives::<AutoscalingView>().text("What is not sent keeps its value. There are so many replicas that each uses `target_cpu_percent` of its CPU limit and answers `target_requests_per_second`, or less: the larger number where both are set, within the bounds. More come after half a minute in which they were needed, fewer are kept after five minutes in which fewer were enough.").conflict("conflict", "somebody else changed it at the same moment").conflict("one_replica_only", "a project with volumes has one replica")),
        route("DELETE", p("/autoscaling"), ADMIN, delete(autoscaling::delete), doc("delete_autoscaling", "Forget by what it gets more or fewer replicas; those that there are stay").gives::<AutoscalingView>()),
        route("POST", p("/exec"), ADMIN, post(exec::run), doc("exec", "Run a command in a running replica").takes::<Exec>().gives::<ExecResult>().engine().conflict("not_running", "no replica is running")),
        socket(p("/exec"), ADMIN, get(exec::attach), attached(doc("attach_exec", "A command with its input and output"))),

        route("GET", p("/git"), MEMBER, get(git::get), doc("get_git", "The project's repository").gives::<GitConnectionView>()).also(p("/git-connection")),
        route("POST", p("/git"), ADMIN, post(git::connect), doc("connect_git", "Connect a repository").takes::<ConnectGit>().creates::<GitConnectionView>().conflict("is_preview", "it is a preview of another project")).also(p("/git-connection")),
        route("PUT", p("/git"), ADMIN, put(git::update), doc("update_git", "Change the connection").takes::<ConnectGit>().gives::<GitConnectionView>()).also(p("/git-connection")),
        route("DELETE", p("/git"), ADMIN, delete(git::disconnect), doc("disconnect_git", "Disconnect the repository").gives::<Deleted>()).also(p("/git-connection")),

        route("GET", p("/registry"), MEMBER, get(registry::get), doc("get_registry", "Whose credentials its image is pulled with").gives::<RegistryView>()),
        route("PUT", p("/registry"), ADMIN, put(registry::set), doc("set_registry", "Keep credentials for the registry of its image").takes::<SetRegistry>().gives::<RegistryView>().text("The password is kept sealed and never shown. Only this registry gets it, and only when a deployment pulls the project's image.")),
        route("DELETE", p("/registry"), ADMIN, delete(registry::delete), doc("delete_registry", "Forget the credentials").gives::<Deleted>()),

        route("GET", p("/env"), MEMBER, get(env_var::list), doc("list_env_vars", "The variables, secrets masked").lists::<EnvVarView>()).also(p("/env-vars")),
        route("POST", p("/env"), ADMIN, post(env_var::set), doc("set_env_var", "Set a variable").takes::<SetEnvVar>().creates::<EnvVarView>()).also(p("/env-vars")),
        route("PUT", p("/env/bulk"), ADMIN, put(env_var::set_bulk), doc("set_env_vars", "Set many variables, or all").takes::<SetEnvVars>().gives::<EnvVarsChanged>()).also(p("/env-vars/bulk")),
        route("POST", p("/env/bulk"), ADMIN, post(env_var::set_bulk), doc("post_env_vars", "Set many variables, or all").takes::<SetEnvVars>().gives::<EnvVarsChanged>()).also(p("/env-vars/bulk")),
        route("GET", p("/env/{key}"), MEMBER, get(env_var::get), doc("get_env_var", "A variable").gives::<EnvVarView>().query("reveal", "Shows a secret's value; needs admin", json!({"type": "boolean"}))).also(p("/env-vars/{key}")),
        route("PUT", p("/env/{key}"), ADMIN, put(env_var::change), doc("change_env_var", "Set this variable").takes::<ChangeEnvVar>().gives::<EnvVarView>()).also(p("/env-vars/{key}")),
        route("DELETE", p("/env/{key}"), ADMIN, delete(env_var::delete), doc("delete_env_var", "Take a variable away").gives::<Deleted>()).also(p("/env-vars/{key}")),

        route("GET", "/git/{slug}/{repository}/info/refs", MEMBER, get(git_push::advertise), doc("advertise_refs", "What `git push` asks first").raw("application/x-git-receive-pack-advertisement").text(PUSH).query("service", "`git-receive-pack`", json!({"type": "string", "const": "git-receive-pack"})).required()).with_password(),
        route("POST", "/git/{slug}/{repository}/git-receive-pack", MEMBER, post(git_push::receive), doc("receive_pack", "`git push` to this server").takes_push().raw("application/x-git-receive-pack-result").text(PUSH).conflict("not_git", "the project runs an image").conflict(QUOTA.0, QUOTA.1).costs()).with_password(),
        route("GET", p("/git/webhook"), ADMIN, get(push::webhook), doc("get_git_webhook", "What to enter at the Git server so that pushes deploy").gives::<GitWebhookView>()),
        route("POST", p("/git/webhook"), ADMIN, post(push::renew_webhook), doc("renew_git_webhook", "Make another secret for push events").creates::<GitWebhookView>().text("Events that are signed with the one before are refused from now on.")),
        route("POST", p("/git/deploy-key"), ADMIN, post(push::create_deploy_key), doc("create_deploy_key", "Make a deploy key, in place of the one there is").creates::<GitConnectionView>().text("Add `deploy_key_public` of the answer to the repository, with read access. The private half never leaves the server.")),
        route("GET", p("/previews"), MEMBER, get(git::previews), doc("list_previews", "Its previews: projects that run a pull request each").lists::<ProjectView>()),
        route("GET", p("/git/deliveries"), MEMBER, get(push::list), doc("list_push_deliveries", "Push events, and what became of each").pages::<PushDeliveryView>()),
        route("POST", "/api/webhooks/github", ANYBODY, post(push::github).layer(DefaultBodyLimit::max(push::MAX_EVENT)), doc("receive_github_event", "A push event of GitHub").takes_signed().accepts::<PushReceived>().text("Signed with a project's secret, it deploys that project; signed with that of the server's GitHub App, every project that reads this repository through the installation. An unknown repository is nobody's: nothing happens.")),
        route("POST", "/api/webhooks/gitlab", ANYBODY, post(push::gitlab).layer(DefaultBodyLimit::max(push::MAX_EVENT)), doc("receive_gitlab_event", "A push event of GitLab").takes_signed().accepts::<PushReceived>().text(SIGNED)),
        route("POST", "/api/webhooks/gitea", ANYBODY, post(push::gitea).layer(DefaultBodyLimit::max(push::MAX_EVENT)), doc("receive_gitea_event", "A push event of Gitea or Forgejo").takes_signed().accepts::<PushReceived>().text(SIGNED)),

        route("GET", w("/github/installations"), MEMBER, get(github::list), doc("list_github_installations", "Installations of the server's GitHub App that are connected").lists::<GithubInstallationView>()),
        route("POST", w("/github/installations"), ADMIN, post(github::connect), doc("connect_github", "Begin to connect an installation of the server's GitHub App").may_take::<ConnectGithub>().creates::<GithubConnectView>().text("Open `install_url` in a browser that is logged in at GitHub, within ten minutes. It is connected when somebody to whom GitHub shows it has agreed there.").conflict(NO_APP.0, NO_APP.1)),
        route("DELETE", w("/github/installations/{id}"), ADMIN, delete(github::delete), doc("delete_github_installation", "Disconnect an installation").gives::<Deleted>().text("Projects that read their repository through it cannot be built until it is connected again.")),
        route("GET", w("/github/installations/{id}/repositories"), ADMIN, get(github::repositories), doc("list_github_repositories", "The repositories that can be connected with an installation").pages::<GithubRepositoryView>().text("Those that whoever connected it could read at that time; connecting it again brings newer ones.")),
        route("GET", "/api/github/callback", ANYBODY, get(github::callback), doc("github_callback", "Where GitHub sends people back to").raw("text/html").text("It changes nothing: the page asks whether to connect.").query("state", "What the link carried", json!({"type": "string"})).query("code", "GitHub's proof of who came", json!({"type": "string"})).query("installation_id", "Which installation", json!({"type": "string"})).conflict(NO_APP.0, NO_APP.1).engine()),
        route("POST", "/api/github/callback", ANYBODY, post(github::accept), doc("accept_github_callback", "Connect what the callback's page showed").raw("text/html").query("token", "What the page carried; works once", json!({"type": "string"})).conflict(NO_APP.0, NO_APP.1)),

        route("GET", p("/deployments"), MEMBER, get(deployment::list), doc("list_deployments", "The deployments").pages::<DeploymentView>()).kept(),
        route("POST", p("/deployments"), MEMBER, post(deployment::create), doc("create_deployment", "Build and deploy").may_take::<CreateDeployment>().creates::<DeploymentView>().conflict("no_source", "there is no repository").conflict("not_git", "commit and branch are for projects that are built from Git").conflict(QUOTA.0, QUOTA.1).costs()),
        route("POST", p("/deployments/redeploy"), MEMBER, post(deployment::redeploy), doc("redeploy", "Deploy the current image again, with today's variables").creates::<DeploymentView>().conflict(NOTHING.0, NOTHING.1).conflict(QUOTA.0, QUOTA.1).costs()).also(p("/redeploy")),
        route("POST", p("/deployments/upload"), MEMBER, post(deployment::upload), doc("upload", "Build and deploy a source tree that is sent along").takes_gzip().creates::<DeploymentView>().text("256 MiB at most unless the operator set another limit.").conflict(QUOTA.0, QUOTA.1).costs()).within(accept::UPLOAD_TIMEOUT),
        route("GET", p("/deployments/{id}"), MEMBER, get(deployment::get), doc("get_deployment", "A deployment").gives::<DeploymentView>()).kept(),
        route("GET", p("/deployments/{id}/logs"), MEMBER, get(deployment::logs), doc("get_deployment_log", "What was said about a deployment").gives::<DeploymentLogView>().query("after", "Lines after this number, from an answer's `next`", json!({"type": "integer", "minimum": 0, "maximum": deployment::MAX_LINE_NUMBER})).query("limit", "How many lines at most", json!({"type": "integer", "minimum": 1, "maximum": 5000, "default": 1000}))),
        route("POST", p("/deployments/{id}/stop"), MEMBER, post(deployment::stop), doc("stop_deployment", "Call a deployment off; stops the project if it is the live one").gives::<DeploymentView>().conflict("deployment_ended", "it has ended")),
        route("POST", p("/deployments/{id}/rollback"), MEMBER, post(deployment::rollback), doc("rollback", "Deploy this one's image, settings and variables again").creates::<DeploymentView>().engine().conflict("never_live", "it was never live").conflict("image_gone", "its image was removed").conflict(QUOTA.0, QUOTA.1).costs()),

        route("GET", w("/databases"), MEMBER, get(database::list), doc("list_databases", "The databases").pages::<DatabaseView>()),
        route("POST", w("/databases"), ADMIN, post(database::create), doc("create_database", "Make a database").takes::<CreateDatabase>().accepts::<DatabaseView>().text("Apps of the workspace reach it by its slug as soon as its status is `running`.").conflict("taken", "the slug is in use").conflict(QUOTA.0, QUOTA.1).costs()),
        route("GET", d(""), MEMBER, get(database::get), doc("get_database", "A database, by its slug or id").gives::<DatabaseView>()),
        route("PUT", d(""), ADMIN, put(database::update), doc("update_database", "Change a database").takes::<UpdateDatabase>().gives::<DatabaseView>().text("Sizes and versions count from the next restart on.").conflict("conflict", "somebody else changed it at the same moment").conflict(QUOTA.0, QUOTA.1).costs()),
        route("DELETE", d(""), ADMIN, delete(project::delete), doc("delete_database", "Delete a database with its data and its backups").gives::<Deleted>()),
        route("POST", d("/start"), MEMBER, post(database::start), doc("start_database", "Start a stopped database").gives::<DatabaseView>().conflict(QUOTA.0, QUOTA.1).costs()),
        route("POST", d("/stop"), ADMIN, post(database::stop), doc("stop_database", "Stop a database; its data is kept").gives::<DatabaseView>()),
        route("POST", d("/restart"), MEMBER, post(database::restart), doc("restart_database", "End its server and start it again").gives::<DatabaseView>().conflict(BUSY.0, BUSY.1).conflict(QUOTA.0, QUOTA.1).costs()),
        route("POST", d("/retry"), MEMBER, post(database::retry), doc("retry_database", "Try a database again that failed").gives::<DatabaseView>().text("Its record stays, and so does its data, if anybody ever logged in.").conflict("not_failed", "it did not fail").conflict(QUOTA.0, QUOTA.1).costs()),
        route("POST", d("/reset-password"), ADMIN, post(database::reset_password), doc("reset_database_password", "Give its account another password").gives::<DatabaseView>().text("It counts at once. Apps whose variables refer to it have to be deployed again.").engine()),
        route("POST", d("/expose"), ADMIN, post(database::expose), doc("expose_database", "Open a database to the outside, or close it").takes::<ExposeDatabase>().gives::<DatabaseView>().text("It gets a port of its own, by TLS or without; who may come in by the network is said by `allow`. Closing it ends the connections.").conflict("expose_off", "the server opens no databases").conflict("no_port_free", "every port has a database")),
        route("GET", d("/status"), MEMBER, get(project::status), doc("get_database_status", "What its server does now").gives::<StatusView>().engine()),
        route("GET", d("/metrics"), MEMBER, get(metrics::get), over_time(doc("get_database_metrics", "What it used over time"))),
        route("GET", d("/uptime"), MEMBER, get(uptime::get), doc("get_database_uptime", "How a database is checked, whether it is up, and how it has been").gives::<UptimeView>()),
        route("PUT", d("/uptime"), ADMIN, put(uptime::set), set_uptime(doc("set_database_uptime", "Check a database, or change how"))),
        route("GET", d("/uptime/checks"), MEMBER, get(uptime::checks), which_checks(doc("list_database_checks", "Its checks of the last seven days, the newest first"))),
        route("POST", d("/uptime/heartbeat"), ADMIN, post(heartbeat::create), heartbeat_url(doc("create_database_heartbeat", "Make the address that a job calls, in place of the one there is"))),
        route("POST", d("/exec"), ADMIN, post(exec::run), doc("exec_in_database", "Run a command beside its server").takes::<Exec>().gives::<ExecResult>().engine().conflict("not_running", "its server does not run")),
        socket(d("/exec"), ADMIN, get(exec::attach), attached(doc("attach_exec_in_database", "A command beside its server, with its input and output"))),
        socket(d("/connect"), ADMIN, get(exec::connect), doc("connect_database", "The database's own client, logged in, in a terminal").engine().query("cols", "The terminal's columns", json!({"type": "integer", "minimum": 1, "maximum": 1000})).query("rows", "The terminal's rows", json!({"type": "integer", "minimum": 1, "maximum": 1000})).text("Frames are those of commands. The password goes the server's own way: it is in no address and no argument.").conflict("not_running", "its server does not run")),
        route("GET", d("/logs"), MEMBER, get(log::list), page_of_lines(doc("find_database_logs", "The lines that its server wrote, the newest first"))),
        download(d("/logs/download"), MEMBER, get(log::download), file_of_lines(doc("download_database_logs", "The same lines as a file, the oldest first"))),
        route("GET", d("/logs/stats"), MEMBER, get(log::stats), doc("get_database_log_stats", "How many lines there are, in all and of each day").gives::<LogStats>()),
        socket(d("/live-logs"), MEMBER, get(log_socket::live), doc("database_live_logs", "What its server writes").engine()),
        route("GET", d("/backups"), MEMBER, get(database::list_backups), doc("list_backups", "Its backups").pages::<BackupView>()),
        route("POST", d("/backups"), ADMIN, post(database::create_backup), doc("create_backup", "Make a backup").accepts::<BackupView>().text("It has succeeded when it was read once from where it is kept.").conflict("backup_in_progress", "one is being made already")),
        route("GET", d("/backups/{id}"), MEMBER, get(database::get_backup), doc("get_backup", "A backup").gives::<BackupView>()),
        route("DELETE", d("/backups/{id}"), ADMIN, delete(database::delete_backup), doc("delete_backup", "Delete a backup").gives::<Deleted>().conflict("backup_in_progress", "it is being made")),
        download(d("/backups/{id}/download"), ADMIN, get(database::download), doc("download_backup", "The dump, as the database's own tool wrote it").raw("application/octet-stream").conflict("backup_in_progress", "it is being made").conflict("backup_failed", "there is nothing in it")),
        route("POST", d("/backups/{id}/prove"), ADMIN, post(database::prove), doc("prove_backup", "Restore a backup into an instance that is made for that and goes again").accepts::<BackupView>().text("Its `proven_at` or `proof_error` says how that ended. A database with a schedule has its newest backup proven once a day by itself.").conflict("backup_in_progress", "the backup is being made").conflict("backup_failed", "there is nothing in it")),
        route("POST", d("/backups/{id}/restore"), ADMIN, post(database::restore), doc("restore_backup", "Replace a database's data by a backup").may_take::<RestoreBackup>().accepts::<DatabaseView>().text("The database's `restore` says how far it is.").conflict("not_running", "the database does not run").conflict("backup_in_progress", "the backup is being made").conflict("backup_failed", "there is nothing in it").conflict("restore_in_progress", "a backup is being restored into it already").engine()),

        route("GET", "/api/templates", CALLER, get(template::catalogue), doc("list_templates", "The catalogue: applications that need no set-up").lists::<TemplateView>()),
        route("GET", w("/templates"), MEMBER, get(template::list), doc("list_instances", "The instances of templates").pages::<ProjectView>()),
        route("POST", w("/templates"), ADMIN, post(template::create), doc("create_instance", "Make an instance of a template").takes::<CreateInstance>().creates::<ProjectView>().text("With its variables, its folders and its databases, whose slugs begin with its own. It is a project: every route of projects takes its slug as well. Deploy it when its required variables have values.").conflict("taken", "a slug is in use").conflict(QUOTA.0, QUOTA.1).costs()),
        route("GET", t(""), MEMBER, get(project::get), doc("get_instance", "An instance").gives::<ProjectView>()).kept(),
        route("PUT", t(""), ADMIN, put(project::update), doc("update_instance", "Change an instance").takes::<UpdateProject>().gives::<ProjectView>().conflict("conflict", "somebody else changed it at the same moment").conflict("one_replica_only", "a project with volumes has one replica").conflict(AUTOSCALING.0, AUTOSCALING.1).conflict(QUOTA.0, QUOTA.1).costs()),
        route("DELETE", t(""), ADMIN, delete(project::delete), doc("delete_instance", "Delete an instance with its folders").gives::<Deleted>().text("Its databases stay: delete them by themselves.")),
        route("GET", t("/env"), MEMBER, get(env_var::list), doc("list_instance_env_vars", "The variables, secrets masked").lists::<EnvVarView>()),
        route("PUT", t("/env"), ADMIN, put(template::set_env), doc("set_instance_env_vars", "Set variables; others stay").takes::<Vec<SetEnvVar>>().gives::<EnvVarsChanged>()),
        route("DELETE", t("/env/{key}"), ADMIN, delete(env_var::delete), doc("delete_instance_env_var", "Take a variable away").gives::<Deleted>()),
        route("GET", t("/domains"), MEMBER, get(domain::list), doc("list_instance_domains", "The host names").lists::<DomainView>()),
        route("POST", t("/domains"), ADMIN, post(domain::add), doc("add_instance_domain", "Bring a host name").takes::<AddDomain>().creates::<DomainView>().conflict("taken", "another project has it").conflict("too_many_domains", "the project has as many as it may")),
        route("DELETE", t("/domains/{id}"), ADMIN, delete(domain::delete), doc("delete_instance_domain", "Give a host name up").gives::<Deleted>().conflict("conflict", "it is the one that the platform gave")),
        route("GET", t("/deployments"), MEMBER, get(deployment::list), doc("list_instance_deployments", "The deployments").pages::<DeploymentView>()),
        route("POST", t("/deployments"), MEMBER, post(template::deploy), doc("deploy_instance", "Deploy an instance").may_take::<DeployInstance>().creates::<DeploymentView>().text("It starts when its databases take logins.").conflict("template_gone", "the server has that template no more").conflict(QUOTA.0, QUOTA.1).costs()),
        route("GET", t("/deployments/{id}"), MEMBER, get(deployment::get), doc("get_instance_deployment", "A deployment").gives::<DeploymentView>()),
        route("POST", t("/deployments/{id}/stop"), MEMBER, post(deployment::stop), doc("stop_instance_deployment", "Call a deployment off").gives::<DeploymentView>().conflict("deployment_ended", "it has ended")),
        route("GET", t("/status"), MEMBER, get(project::status), doc("get_instance_status", "What its replicas do now").gives::<StatusView>().engine()),
        route("GET", t("/metrics"), MEMBER, get(metrics::get), over_time(doc("get_instance_metrics", "What it used and served over time"))),
        route("GET", t("/uptime"), MEMBER, get(uptime::get), doc("get_instance_uptime", "How an instance is checked, whether it is up, and how it has been").gives::<UptimeView>()),
        route("PUT", t("/uptime"), ADMIN, put(uptime::set), set_uptime(doc("set_instance_uptime", "Check an instance, or change how"))),
        route("GET", t("/uptime/checks"), MEMBER, get(uptime::checks), which_checks(doc("list_instance_checks", "Its checks of the last seven days, the newest first"))),
        route("POST", t("/uptime/heartbeat"), ADMIN, post(heartbeat::create), heartbeat_url(doc("create_instance_heartbeat", "Make the address that a job calls, in place of the one there is"))),
        route("POST", t("/start"), MEMBER, post(project::start), doc("start_instance", "Start a stopped instance").gives::<ProjectView>().conflict(NOTHING.0, NOTHING.1).conflict(QUOTA.0, QUOTA.1).costs()),
        route("POST", t("/stop"), ADMIN, post(project::stop), doc("stop_instance", "Stop an instance").gives::<ProjectView>()),
        route("POST", t("/restart"), MEMBER, post(project::restart), doc("restart_instance", "Replace its replicas").gives::<ProjectView>().conflict(BUSY.0, BUSY.1).conflict(NOTHING.0, NOTHING.1).conflict(QUOTA.0, QUOTA.1).costs()),
        route("GET", t("/logs"), MEMBER, get(log::list), page_of_lines(doc("find_instance_logs", "The lines that its replicas wrote, the newest first"))),
        download(t("/logs/download"), MEMBER, get(log::download), file_of_lines(doc("download_instance_logs", "The same lines as a file, the oldest first"))),
        route("GET", t("/logs/stats"), MEMBER, get(log::stats), doc("get_instance_log_stats", "How many lines there are, in all and of each day").gives::<LogStats>()),
        route("POST", t("/logs/analyze"), MEMBER, post(log::analyze).layer(DefaultBodyLimit::max(log::MAX_ANALYZE_BODY)), doc("analyze_instance_logs", "Why it fails, told from its output").may_take::<AnalyzeLogs>().gives::<LogAnalysisView>().engine()),
        socket(t("/live-logs"), MEMBER, get(log_socket::live), doc("instance_live_logs", "What the replicas write").engine()),
        socket(t("/build-logs"), MEMBER, get(log_socket::newest_build), doc("instance_build_logs", "What was said about the newest deployment")),

        route("GET", p("/domains"), MEMBER, get(domain::list), doc("list_domains", "The host names").lists::<DomainView>()).kept(),
        route("POST", p("/domains"), ADMIN, post(domain::add), doc("add_domain", "Bring a host name").takes::<AddDomain>().creates::<DomainView>().text("It leads here once one of its `dns_records` is seen, which is looked for at once and each minute.").conflict("taken", "another project has it").conflict("too_many_domains", "the project has as many as it may")),
        route("DELETE", p("/domains/{id}"), ADMIN, delete(domain::delete), doc("delete_domain", "Give a host name up").gives::<Deleted>().conflict("conflict", "it is the one that the platform gave")),
        route("PUT", p("/domains/{id}/certificate"), ADMIN, put(domain::set_certificate), doc("set_certificate", "Bring a certificate").takes::<SetCertificate>().gives::<DomainView>().text("It is served from now on, and never renewed by the platform.")),
        route("DELETE", p("/domains/{id}/certificate"), ADMIN, delete(domain::delete_certificate), doc("delete_certificate", "Forget a certificate that was brought").gives::<DomainView>().text("One is ordered instead, where the server orders any.")),
        route("PUT", p("/domains/{id}/settings"), ADMIN, put(domain::set_settings), doc("set_domain_settings", "Say what visitors meet before the app").takes::<DomainSettings>().gives::<DomainView>().text("In place of what was set: what is left out is off. It counts at once. A user without a password keeps the one that the name has.")),
        route("POST", p("/domains/{id}/verify"), ADMIN, post(domain::verify), doc("verify_domain", "Look at its DNS now").gives::<DomainView>()),

        route("GET", p("/jobs"), MEMBER, get(job::list), doc("list_jobs", "Its jobs, newest first").pages::<JobView>()),
        route("POST", p("/jobs"), ADMIN, post(job::create), doc("create_job", "Run a command once, in a container of its own").takes::<CreateJob>().creates::<JobView>().text("It has the image, variables and volumes of the version that is live, or was last.").conflict(NOTHING.0, NOTHING.1).conflict("too_many_jobs", "five of its jobs have not ended").costs()),
        route("GET", p("/jobs/{id}"), MEMBER, get(job::get), doc("get_job", "One job").gives::<JobView>()),
        route("POST", p("/jobs/{id}/stop"), ADMIN, post(job::stop), doc("stop_job", "Call a job off").gives::<JobView>().conflict("job_ended", "it has ended")),
        route("GET", p("/schedules"), MEMBER, get(schedule::list), doc("list_schedules", "Its schedules").gives::<Vec<ScheduleView>>()),
        route("PUT", p("/schedules/{name}"), ADMIN, put(schedule::set), doc("set_schedule", "Run a command again and again").takes::<SetSchedule>().gives::<ScheduleView>().text("At each time that the cron expression names, a job is queued, with the version that is live then. A run is left out, and the reason kept, while the one before goes on and while the project is stopped. Times that passed while the server was down lead to one run.").conflict("too_many_schedules", "it has twenty")),
        route("DELETE", p("/schedules/{name}"), ADMIN, delete(schedule::delete), doc("delete_schedule", "Forget a schedule; its jobs stay").gives::<Deleted>()),
        route("GET", p("/drains"), MEMBER, get(drain::list), doc("list_drains", "Where its log lines are forwarded to").gives::<Vec<DrainView>>()),
        route("POST", p("/drains"), ADMIN, post(drain::create), doc("create_drain", "Forward its log lines to an outside service").takes::<SetDrain>().creates::<DrainView>().text("Lines that are written from now on are sent in order, each at least once, in batches of up to 1,000. What the service does not take is sent again, later and later. Token and headers are kept sealed and never shown.").conflict("taken", "it has a drain with this name").conflict("too_many_drains", "it has five")),
        route("PUT", p("/drains/{id}"), ADMIN, put(drain::update), doc("update_drain", "Change a drain").takes::<SetDrain>().gives::<DrainView>().text("In place of what was set; a token or headers that are left out stay, as long as the address leads to the same service. It goes on where it stood, also if it was paused.").conflict("taken", "another drain of it has this name").conflict("conflict", "it was changed at the same moment")),
        route("DELETE", p("/drains/{id}"), ADMIN, delete(drain::delete), doc("delete_drain", "Forward nothing any more").gives::<Deleted>()),
        route("POST", p("/drains/{id}/test"), ADMIN, post(drain::test), doc("test_drain", "Send one line now").gives::<DrainTest>().text("Answers whether the service took it, and what it said. If it did, a paused drain goes on.")),
        route("GET", p("/jobs/{id}/logs"), MEMBER, get(job::logs), doc("get_job_log", "What a job wrote").gives::<DeploymentLogView>().query("after", "Lines after this number, from an answer's `next`", json!({"type": "integer", "minimum": 0, "maximum": deployment::MAX_LINE_NUMBER})).query("limit", "How many lines at most", json!({"type": "integer", "minimum": 1, "maximum": 5000, "default": 1000}))),
        route("GET", p("/webhooks/deploy"), ADMIN, get(hook::get), doc("get_deploy_hook", "The deploy hook, without its address").gives::<DeployHookView>()),
        route("POST", p("/webhooks/deploy"), ADMIN, post(hook::create), doc("create_deploy_hook", "Make a deploy hook, in place of the one there is").creates::<DeployHookView>().text("Its address is in this answer only.")),
        route("DELETE", p("/webhooks/deploy"), ADMIN, delete(hook::delete), doc("delete_deploy_hook", "Take the deploy hook away").gives::<Deleted>()),
        route("POST", p("/webhooks/deploy/{token}"), ANYBODY, post(hook::call), doc("call_deploy_hook", "Deploy, for CI systems").accepts::<DeploymentView>().text("The token is the proof.").conflict("no_source", "there is no repository").conflict(QUOTA.0, QUOTA.1).costs()),

        route("GET", p("/logs"), MEMBER, get(log::list), page_of_lines(doc("find_logs", "The lines that its replicas wrote, the newest first"))),
        download(p("/logs/download"), MEMBER, get(log::download), file_of_lines(doc("download_logs", "The same lines as a file, the oldest first"))),
        route("GET", p("/logs/stats"), MEMBER, get(log::stats), doc("get_log_stats", "How many lines there are, in all and of each day").gives::<LogStats>()),
        route("POST", p("/logs/analyze"), MEMBER, post(log::analyze).layer(DefaultBodyLimit::max(log::MAX_ANALYZE_BODY)), doc("analyze_logs", "Why it fails, told from its output").may_take::<AnalyzeLogs>().gives::<LogAnalysisView>().engine().text("Without `logs` and `deployment`, the newest deployment is looked at if it failed, and otherwise the last lines that the project's replicas wrote. Nothing is changed.")),
        socket(p("/live-logs"), MEMBER, get(log_socket::live), doc("live_logs", "What the replicas write").engine()),
        socket(p("/build-logs"), MEMBER, get(log_socket::newest_build), doc("newest_build_log", "The newest deployment's log from its first line")),
        socket(p("/deployments/{id}/build-logs"), MEMBER, get(log_socket::build), doc("build_log", "A deployment's log from its first line")),
    ]
}

fn route(
    method: &'static str,
    path: impl Into<String>,
    needs: Needs,
    handler: MethodRouter<Arc<Platform>>,
    doc: Doc,
) -> Route {
    Route {
        method,
        paths: vec![path.into()],
        needs,
        key_place: KeyPlace::Header,
        doc,
        is_kept: false,
        time_limit: accept::HANDLER_TIMEOUT,
        handler,
    }
}

/// With the parameters that say which lines of a log are wanted.
fn which_lines(doc: Doc) -> Doc {
    let time = || json!({"type": "string", "format": "date-time"});
    doc.query("start", "The earliest time", time())
        .query("end", "The time before which lines have to be", time())
        .query(
            "search",
            "Words, phrases and fields that have to be in the line",
            json!({"type": "string", "maxLength": MAX_SEARCH_CHARS}),
        )
        .query(
            "level",
            "The least level; a line that names none counts as `info`",
            json!({"type": "string", "enum": ["debug", "info", "warn", "error"]}),
        )
        .query(
            "source",
            "Where they came from",
            json!({"type": "string", "enum": ["stdout", "stderr", "build", "system"]}),
        )
        .query(
            "pod",
            "The replica that wrote them",
            json!({"type": "string", "maxLength": log::MAX_POD}),
        )
}

#[rustfmt::skip]
fn attached(doc: Doc) -> Doc {
    doc.engine().query("command", "An argument; once for each, /bin/sh in a terminal when absent", json!({"type": "array", "items": {"type": "string"}})).query("tty", "Whether it gets a terminal", json!({"type": "boolean"})).query("cols", "The terminal's columns", json!({"type": "integer", "minimum": 1, "maximum": 1000})).query("rows", "The terminal's rows", json!({"type": "integer", "minimum": 1, "maximum": 1000})).query("pod", "Which replica; the first that runs when absent", json!({"type": "string"})).text("Binary frames are bytes both ways. The client's text frames are `{\"resize\":{\"cols\":80,\"rows\":24}}` and `\"eof\"`, the server's `{\"exit_code\":0}` and `{\"error\":…}`.").conflict("not_running", "no replica is running")
}

#[rustfmt::skip]
fn page_of_lines(doc: Doc) -> Doc {
    which_lines(doc.gives::<LogPage>().engine()).query("limit", "How many lines at most", json!({"type": "integer", "minimum": 1, "maximum": 5000, "default": 100})).query("direction", "`backward` begins with the newest line, `forward` with the oldest", json!({"type": "string", "enum": ["backward", "forward"], "default": "backward"})).query("cursor", "Goes on after another answer, with its `cursor`; the rest of the query has to be the same", json!({"type": "integer", "minimum": 0, "maximum": deployment::MAX_LINE_NUMBER})).text("`search` finds words (`timeout`), parts of words (`time*`), phrases (`\"connection refused\"`), fields of JSON and logfmt lines (`status:500`, `duration_ms:>=100`, `user.id:7`, `error:*`), and leaves out what has a `-` before it. All of it must hold; small and capital letters are the same.")
}

#[rustfmt::skip]
fn file_of_lines(doc: Doc) -> Doc {
    which_lines(doc.raw("application/gzip").engine()).query("format", "`text` has a time, a pod and the text in each line, `json` an object", json!({"type": "string", "enum": ["text", "json"], "default": "text"}))
}

#[rustfmt::skip]
fn over_time(doc: Doc) -> Doc {
    doc.gives::<MetricsView>().query("start", "The begin; an hour before the end when absent", json!({"type": "string", "format": "date-time"})).query("end", "The end; now when absent", json!({"type": "string", "format": "date-time"})).query("step", "Seconds of a point; such that there are about 120 points when absent", json!({"type": "integer", "minimum": 10, "maximum": 31_536_000})).text("Times are kept in steps of 10 s for a day, of 60 s for a week, of 3600 s for a year: `step` of the answer may be longer than asked for. At most 1000 steps.")
}

#[rustfmt::skip]
fn set_uptime(doc: Doc) -> Doc {
    doc.takes::<SetUptime>().gives::<UptimeView>().text("What is not sent keeps its value. The project's own host names are asked for at this server's proxy; other addresses have to be public. After `failures_before_down` failures in a row it is down; its log, `notify_email` and the webhook are told then, and when it answers again.").conflict("conflict", "it was changed at the same moment").conflict("no_mail", "this server sends no mail")
}

#[rustfmt::skip]
fn heartbeat_url(doc: Doc) -> Doc {
    doc.creates::<HeartbeatUrl>().text("It is in this answer only. Called by GET, HEAD or POST it says that the job has done its work, with `/fail` after it that it has not. The monitor's kind has to be `heartbeat`: then it is down when none came within `check_interval_sec` and `heartbeat_grace_sec`.").conflict("not_heartbeat", "the monitor waits for no heartbeats")
}

#[rustfmt::skip]
fn which_checks(doc: Doc) -> Doc {
    let time = || json!({"type": "string", "format": "date-time"});
    doc.pages::<CheckView>().query("start", "From this time on", time()).query("end", "Before this time", time())
}

/// A file, for which a browser sends no header either.
fn download(path: String, needs: Needs, handler: MethodRouter<Arc<Platform>>, doc: Doc) -> Route {
    Route {
        key_place: KeyPlace::HeaderOrQueryOfDownload,
        ..route("GET", path, needs, handler, doc)
    }
}

fn socket(path: String, needs: Needs, handler: MethodRouter<Arc<Platform>>, doc: Doc) -> Route {
    Route {
        key_place: KeyPlace::HeaderOrQuery,
        ..route("WS", path, needs, handler, doc.socket())
    }
}

impl Route {
    /// With its answers kept: see [`crate::http::kept`] for which routes may.
    fn kept(mut self) -> Self {
        self.is_kept = true;
        self
    }

    /// With the key also as the password of `Authorization: Basic`.
    fn with_password(mut self) -> Self {
        self.key_place = KeyPlace::HeaderOrPassword;
        self
    }

    /// With another time limit.
    fn within(mut self, time_limit: Duration) -> Self {
        self.time_limit = time_limit;
        self
    }

    /// The same under another path.
    fn also(mut self, path: String) -> Self {
        self.paths.push(path);
        self
    }
}

/// The whole API.
pub(crate) fn router(platform: &Arc<Platform>) -> Router {
    let routes = routes();
    let mut router = described();
    let shared = Shared {
        platform: Arc::clone(platform),
        kept: Arc::default(),
    };
    let frame = accept::Frame {
        platform: Arc::clone(platform),
        operations: Arc::new(operations(&routes)),
    };
    for route in routes {
        let guard = Guard {
            platform: Arc::clone(platform),
            needs: route.needs,
            key_place: route.key_place,
        };
        let is_tagged = route.method == "GET" && matches!(route.doc.gives, Gives::One(_));
        let handler = if is_tagged {
            route.handler.layer(from_fn(etag::tag))
        } else {
            route.handler
        };
        let handler = if route.is_kept {
            handler.layer(from_fn_with_state(shared.clone(), kept::answer))
        } else {
            handler
        };
        let handler = handler
            .layer(from_fn_with_state(guard, guard::check))
            .layer(from_fn_with_state(route.time_limit, accept::within));
        for path in &route.paths {
            router = router.route(path, handler.clone());
        }
    }
    router
        .fallback(async || ApiError::from(Transport::UnknownRoute))
        .method_not_allowed_fallback(async || ApiError::from(Transport::WrongMethod))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn(accept::catch_panic))
        .layer(from_fn_with_state(frame, accept::frame))
        .with_state(Arc::clone(platform))
}

/// What answers are counted under.
fn operations(routes: &[Route]) -> Operations {
    let mut operations = Operations::default();
    for route in routes {
        let operation = Operation {
            operation: route.doc.id,
            method: route.method,
        };
        let method = match route.method {
            "WS" => Method::GET,
            method => method.parse().expect("the list has methods of HTTP"),
        };
        for path in &route.paths {
            operations.add(path, method.clone(), operation);
        }
    }
    operations
}

/// The two routes that describe the others. Both answers are made when they are first asked for, so that
/// a start does not wait for them, and once.
fn described() -> Router<Arc<Platform>> {
    const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| openapi::document(&routes()));
    static JSON: LazyLock<String> = LazyLock::new(|| DOCUMENT.to_string());
    static PAGE: LazyLock<String> = LazyLock::new(|| docs::page(&DOCUMENT));
    Router::new()
        .route(
            "/api/openapi.json",
            get(async || ([(CONTENT_TYPE, "application/json")], JSON.as_str()).into_response()),
        )
        .route(
            "/api/docs",
            get(async || {
                ([(CONTENT_SECURITY_POLICY, POLICY)], Html(PAGE.as_str())).into_response()
            }),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_as_written_down() {
        let mut lines = Vec::new();
        for route in routes() {
            let needs = match route.needs {
                Needs::Nothing => "anybody",
                Needs::Caller => "caller",
                Needs::Login => "login",
                Needs::Operator => "operator",
                Needs::Role(role) => role.as_str(),
            };
            for path in &route.paths {
                lines.push(format!("{:6} {path} ({needs})", route.method));
            }
        }
        insta::assert_snapshot!("routes", lines.join("\n"));
    }

    #[test]
    fn only_sockets_and_downloads_take_the_key_from_the_query() {
        for route in routes() {
            let expected = match (route.method, route.paths[0].ends_with("/download")) {
                ("WS", _) => KeyPlace::HeaderOrQuery,
                ("GET", true) => KeyPlace::HeaderOrQueryOfDownload,
                _ => continue,
            };
            assert_eq!(route.key_place, expected, "{:?}", route.paths);
        }
        let is_in_query = |route: &Route| {
            !matches!(
                route.key_place,
                KeyPlace::Header | KeyPlace::HeaderOrPassword
            )
        };
        let routes = routes();
        let others = routes.iter().filter(|route| is_in_query(route));
        assert!(
            others
                .into_iter()
                .all(|route| route.method == "WS" || route.paths[0].ends_with("/download"))
        );
    }

    #[test]
    fn every_operation_has_a_name_of_its_own() {
        let mut ids: Vec<_> = routes().iter().map(|route| route.doc.id).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }

    /// The document in the repository is the one that the server answers. `UPDATE_OPENAPI=1`
    /// writes it anew.
    #[test]
    fn the_document_is_as_written_down() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
        let document = openapi::document(&routes());
        let text = serde_json::to_string_pretty(&document).expect("JSON") + "\n";
        #[expect(
            clippy::disallowed_methods,
            reason = "a test that is asked to write its golden file"
        )]
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(path, &text).expect("written");
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == text,
            "docs/openapi.json is out of date: run UPDATE_OPENAPI=1 cargo test -p tose-server --lib document_is"
        );
    }
}
