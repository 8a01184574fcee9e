package transfer

// CredentialKind says what is replaced. Like AssetKind it is open: hooks may be configured for other kinds.
type CredentialKind string

// The credentials of Amplitude, and those around it that leavers know.
const (
	CredentialDeploymentKey  CredentialKind = "deployment_key"        // of Experiment: replaced through the management API
	CredentialAPIKey         CredentialKind = "api_key"               // of a project, for sending events; public
	CredentialSecretKey      CredentialKind = "secret_key"            // of a project, for its server APIs
	CredentialManagementKey  CredentialKind = "management_key"        // of Experiment's management API
	CredentialSCIMKey        CredentialKind = "scim_key"              // of the organization; there is one
	CredentialOrgKey         CredentialKind = "org_key"               // of the organization, with its secret; there is one pair
	CredentialExport         CredentialKind = "export"                // key pair in a job that exports events
	CredentialWarehouse      CredentialKind = "warehouse"             // of a warehouse that Amplitude reads or fills
	CredentialSlack          CredentialKind = "slack"                 // a Slack connection that somebody authorized
	CredentialWebhook        CredentialKind = "webhook"               // address or secret of a webhook that Amplitude calls
	CredentialDataToken      CredentialKind = "data_token"            // API token of Amplitude Data: one person's
	CredentialPersonalToken  CredentialKind = "personal_access_token" // of the developer API or the MCP server: one person's
	CredentialServiceAccount CredentialKind = "service_account"       // of the MCP server
	CredentialDestination    CredentialKind = "destination"           // what a destination authenticates itself with at the partner
)

// CredentialKinds lists every kind named above.
func CredentialKinds() []CredentialKind {
	return []CredentialKind{
		CredentialDeploymentKey, CredentialAPIKey, CredentialSecretKey, CredentialManagementKey, CredentialSCIMKey,
		CredentialOrgKey, CredentialExport, CredentialWarehouse, CredentialSlack, CredentialWebhook, CredentialDataToken,
		CredentialPersonalToken, CredentialServiceAccount, CredentialDestination,
	}
}

// EndsWithReplacement reports whether the old credential dies in the moment in which the new one is made, so that
// nothing is left to retire: Amplitude keeps one SCIM key, and one key pair of an organization
// (amplitude.com/docs/apis/keys-and-tokens).
func (k CredentialKind) EndsWithReplacement() bool {
	return k == CredentialSCIMKey || k == CredentialOrgKey
}

// DiesWithin says how long a credential may still work after it was revoked, in hours: an API key up to six in rare
// cases (amplitude.com/docs/admin/account-management/manage-your-api-keys-and-secret-keys); 0: no more.
func (k CredentialKind) DiesWithin() int {
	if k == CredentialAPIKey {
		return 6
	}
	return 0
}

func credentialWord(k CredentialKind) string {
	switch k {
	case CredentialAPIKey:
		return "API key"
	case CredentialSCIMKey:
		return "SCIM key"
	case CredentialOrgKey:
		return "organization key"
	case CredentialExport:
		return "export key"
	case CredentialSlack:
		return "Slack connection"
	case CredentialWarehouse, CredentialDestination:
		return string(k) + " credential"
	case CredentialDeploymentKey, CredentialSecretKey, CredentialManagementKey, CredentialWebhook, CredentialDataToken,
		CredentialPersonalToken, CredentialServiceAccount:
	}
	return kindWord(AssetKind(k))
}

// howToReplace tells a person where a replacement is made and what happens to the old one. The pages are those of
// amplitude.com/docs/admin/account-management and /docs/apis/keys-and-tokens.
func howToReplace(c Credential, name string) string {
	const publish = " Put the new value where its users read it and tell them. Leave the old one alone: ending it is a task of its own."
	switch c.Kind {
	case CredentialAPIKey:
		return "In Settings → Organization settings → Projects open the project's API keys and generate a new one beside the " + name +
			"; both work at once. Where it is the project's legacy key it cannot be revoked later, only rotated: choose Rotate, have its users ready, " +
			"and know that the old one may still be taken for up to six hours." + publish
	case CredentialSecretKey:
		return "In Settings → Organization settings → Projects open the project's secret keys and generate a new one beside the " + name +
			"; it is shown once." + publish
	case CredentialManagementKey:
		return "In Experiment → Management API create a key with the same projects as the " + name + "." + publish
	case CredentialSCIMKey:
		return "There is one SCIM key, and the old one dies at the moment a new one is made, even if the page is not saved: have the identity provider's " +
			"administrator and this bridge's operator ready, then choose Regenerate SCIM Key in Settings → Organization settings → Access and SSO → " +
			"Provisioning Settings, and enter the new key in both at once."
	case CredentialOrgKey:
		return "Only Amplitude Support issues it: ask them to replace the " + name + ", and agree on a time, because the old pair ends with the replacement. " +
			"Put the new pair where its users read it and tell them."
	case CredentialExport:
		return "The job authenticates itself with a project's API key and secret key: generate a new secret key in Settings → Organization settings → " +
			"Projects, give it to the job of the " + name + ", and see that its next run succeeds." + publish
	case CredentialWarehouse:
		return "In the warehouse make a new key or password for the user of the " + name + ", enter it in Amplitude under Data → Sources or Data → " +
			"Destinations, and see that the next run succeeds." + publish
	case CredentialSlack:
		return "In Settings → Organization settings → Integrations disconnect Slack for the " + name + " and connect it again as somebody who stays; the old " +
			"authorization is revoked in Slack under Apps → Amplitude." + publish
	case CredentialWebhook:
		return "At the receiver make a new address or secret for the " + name + ", enter it in Amplitude where the webhook is defined (its owner, a Manager " +
			"or an Admin can), and send a test." + publish
	case CredentialDataToken:
		return "A Data API token belongs to one person and carries their rights. In Data → Settings → API Tokens make one as a person or service that stays, " +
			"in place of the " + name + "." + publish
	case CredentialPersonalToken:
		return "A personal access token acts as its person. As a member who stays make a new one in Settings → Personal settings → Access tokens, in place of " +
			"the " + name + "." + publish
	case CredentialServiceAccount:
		return "Open the service account of the " + name + " in Settings → Organization settings → Service accounts and rotate its secret." + publish
	case CredentialDeploymentKey:
		return "In Experiment → Deployments create a deployment beside the " + name + " and put it on every flag and experiment that has the old one." + publish
	case CredentialDestination:
		return "Make a new credential at the partner, enter it in Data → Destinations for the " + name + ", and see that the next delivery succeeds." + publish
	}
	return "Make a replacement for the " + name + "." + publish
}

// howToEnd tells a person how the old credential is ended.
func howToEnd(c Credential, name string) string {
	const first = "See that nobody uses the old "
	switch c.Kind {
	case CredentialAPIKey:
		return first + name + " any more, then revoke it in Settings → Organization settings → Projects; it cannot be brought back. The legacy key cannot be " +
			"revoked: if that is the one, it ended when it was rotated. A revoked API key may still be taken for up to six hours."
	case CredentialSecretKey, CredentialExport:
		return first + name + " any more, then delete it in Settings → Organization settings → Projects by typing DELETE; it stops at once and cannot be brought back."
	case CredentialManagementKey:
		return first + name + " any more, then revoke it in Experiment → Management API; it stops at once."
	case CredentialDeploymentKey:
		return first + name + " any more, then take its deployment off every flag and experiment and archive it in Experiment → Deployments; its key stops evaluating."
	case CredentialDestination, CredentialWarehouse, CredentialWebhook:
		return "Amplitude uses the new one already. At the other side see that nobody uses the old " + name + " any more, and revoke it there."
	case CredentialSlack:
		return "Revoke the old authorization of the " + name + " in Slack under Apps → Amplitude."
	case CredentialDataToken:
		return first + name + " any more, then revoke it in Data → Settings → API Tokens."
	case CredentialPersonalToken:
		return first + name + " any more. It should be dead since its person was removed; an Admin sees that in Settings → Organization settings."
	case CredentialServiceAccount:
		return first + name + " any more, then revoke the old secret of its service account."
	case CredentialSCIMKey, CredentialOrgKey:
		return "It ended when the new one was made; see that nothing still sends the old " + name + "."
	}
	return first + name + " any more, then revoke or delete it on the linked page; it cannot be brought back."
}
