// The suite calls every tool there is; what policy refuses is tested elsewhere.
export const EVERYTHING = `@id("conformance")
permit (principal, action, resource)
when { principal.tenant == "acme" && principal.roles.contains("developer") };
`;
